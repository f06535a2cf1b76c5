// SPDX-License-Identifier: GPL-2.0-only
//
// netwatch: shows the TCP connections of this host, as told by netwatch-collector.
//
//   main.c           the commands, and from the command line to one of them
//   options*.c       the table of options; parser, help and usage made from it
//   filter_options*.c  options that choose connections -> Filter of the request
//   ports.c prefix.c number.c cgroup.c categories.c    the values in them
//   subscribe.c record.c list.c status.c check.c    one file for each command
//   top*.c           top: keys and times; rows from reports, columns of them, the terminal
//   logs*.c          log DIR: what goes into its files; logfile.c: how whole lines get there
//   export.c metrics*.c    export: what is counted, and from which events
//   live*.c          its live page
//   export_http.c export_address.c    serves it, in a thread of its own
//   prom.c conns.c   what several need: Prometheus' text format; connections by id
//   answer.c         commands that ask one question
//   replay*.c fields.c completion*.c    those that need no collector
//   judge.c progress.c    which events of a recording are printed; how far it is
//   session.c        the conversation with the collector: connect, wait, read, write out
//   resume.c child.c    --reconnect, and from where it goes on; COMMAND behind --
//   reply*.c         what the collector says, one function for each kind
//   schema.c message.c event.c    protobuf descriptors as tables; wire bytes read by them
//   writer*.c text.c    the formats; they walk the schema, and know no category
//   columns.c timestamp.c color.c    fields by name, forms of a time, meanings of names
//   output.c stop.c  the buffer before stdout; when to end
//   ssh.c            the connection of this terminal, which is left out
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "event.h"
#include "exit.h"
#include "log.h"
#include "options.h"
#include "stop.h"
#include "streams.h"
#include "version.h"

static const struct command commands[] = {
	{"subscribe", COMMAND_SUBSCRIBE, NULL, "Live events, until stopped (the default)",
	 subscribe_run, true},
	{"list", COMMAND_LIST, NULL, "The connections that exist now", list_run, false},
	{"status", COMMAND_STATUS, NULL, "The collector, its categories and subscriptions",
	 status_run, false},
	{"check", COMMAND_CHECK, NULL, "What this kernel can do, and why not", check_run, false},
	{"top", COMMAND_TOP, NULL, "The connections and their rates, refreshed", top_run, false},
	{"record", COMMAND_RECORD, "FILE", "Keep live events in a file", record_run, true},
	{"replay", COMMAND_REPLAY, "FILE", "Print the events of a recording", replay_run, false},
	{"fields", COMMAND_FIELDS, NULL, "The fields of events: type, unit and meaning", fields_run,
	 false},
	{"log", COMMAND_LOG, "DIR", "Keep connects.log, packets.log and err.log in DIR", log_run,
	 false},
	{"export", COMMAND_EXPORT, NULL, "Serve /metrics to Prometheus", export_run, false},
	{"completion", COMMAND_COMPLETION, "bash|zsh|fish", "Completion script for a shell",
	 completion_run, false},
	{.name = NULL},
};

static int check_streams(void)
{
	int closed = streams_open();

	if (closed < 0)
		return EXIT_ERROR;
	if (!(closed & 1 << STDOUT_FILENO))
		return EXIT_OK;
	log_error("cannot write the output: stdout is closed");
	return EXIT_OUTPUT;
}

static void on_file_size(int number)
{
	(void)number;
}

/* Writing beyond RLIMIT_FSIZE fails and is told. Not ignored: what we start would inherit that. */
static void survive_file_size(void)
{
	struct sigaction action = {.sa_handler = on_file_size, .sa_flags = SA_RESTART};

	sigaction(SIGXFSZ, &action, NULL);
}

static int show(const struct options *options)
{
	if (options->help)
		options_help(options);
	else if (options->usage)
		options_usage(options);
	else
		puts("netwatch " VERSION);
	if (!fflush(stdout) && !ferror(stdout))
		return EXIT_OK;
	log_error("cannot write the output: %s", strerror(errno));
	return EXIT_OUTPUT;
}

static int run(int argc, char **argv)
{
	struct options options;
	int status, err = options_parse(&options, argc, argv, commands);

	if (err) {
		fprintf(stderr, "Try 'netwatch --help'.\n");
		status = EXIT_USAGE;
	} else if (options.help || options.usage || options.version) {
		status = show(&options);
	} else {
		stop_init();
		status = options.command->run(&options);
	}
	options_deinit(&options);
	return status;
}

int main(int argc, char **argv)
{
	static char name[] = "netwatch";
	int status;

	log_init(name, LOG_LEVEL_INFO);
	status = check_streams();
	if (status)
		return status;
	survive_file_size();
	if (event_init()) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	argv[0] = name; /* getopt's messages begin with it */
	return run(argc, argv);
}
