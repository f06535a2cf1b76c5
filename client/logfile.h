/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of `log`, in Prometheus' text format: one that grows by lines and is rotated, and one
 * that is replaced as a whole. At any moment each of them, read by anybody, begins with # HELP
 * and # TYPE and ends with a whole line.
 */
#ifndef NETWATCH_LOGFILE_H
#define NETWATCH_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#include "output.h"
#include "prom.h"

/*
 * No write crosses a border of so many bytes: systems copy page by page, and whoever reads
 * meanwhile sees all of a write or nothing. What is left of a page is filled with a comment. A
 * longer line is refused.
 */
#define LOGFILE_PAGE	 4096
#define LOGFILE_OLD	 4	     /* old files kept: NAME.1, the newest, to NAME.4 */
#define LOGFILE_SIZE_MIN (64 * 1024) /* of the limit */

struct logfile {
	int dir;
	int fd; /* -1: not open */
	const char *name, *metric, *help;
	uint64_t limit; /* bytes of one file */
	uint64_t size;	/* on disk */
	size_t used;	/* of page: waiting to be written */
	char page[LOGFILE_PAGE];
	struct output line; /* in the making, in its own buffer */
};

/*
 * Opens it in the directory to add lines: behind what an earlier run left, of which a last line
 * that is not whole is cut off; if it has not our head it is rotated away. limit in bytes. name,
 * metric and help are kept. 0 or -errno. logfile_close is needed in any case.
 */
int logfile_open(struct logfile *file, int dir, const char *name, const char *metric,
		 const char *help, uint64_t limit);

/* Flushes. 0 or -errno. */
int logfile_close(struct logfile *file);

/*
 * Begins a line of its metric, to which labels are added by prom; end adds the label offset, the
 * line's place in the file [bytes], so that no two lines of a file are the same series. 0;
 * -EMSGSIZE: longer than a page, nothing was added; -errno of writing.
 */
void logfile_begin(struct logfile *file, struct prom *prom);
int logfile_end(struct logfile *file, struct prom *prom);

/* Writes out whole lines. 0 or -errno: the file ends with the last line that went out. */
int logfile_flush(struct logfile *file);

/* A file that is written under another name, then renamed to its own, or given up. */
struct logfile_whole {
	int dir;
	const char *name;
	struct output output; /* where to write; its own buffer */
};

int logfile_whole_begin(struct logfile_whole *file, int dir, const char *name);
int logfile_whole_end(struct logfile_whole *file, int err);

#endif
