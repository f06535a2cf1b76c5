# netwatch: see README.md. Every source in the folders below is built; none is listed here.
#
#   make                    both programs, in build/ (SAN=1: with ASan and UBSan, in build/san/)
#   sudo make run           install what is missing, build, start, and show live events
#   sudo make test          all tests; make test T=name for one (unit test or end-to-end file)
#   sudo make test-kernels     the same on every supported kernel, under qemu; K=6.1 T=conn: of it;
#                           FULL=1: not only what depends on the kernel most
#   make deb                a Debian package; sudo make test-deb: install it somewhere, run, boot, remove
#   make fuzz               hostile HTTP, requests and events for some minutes; FUZZ_RUNS=n: so
#                           many conversations, FUZZ_SECONDS=n: so long of each guided one
#   sudo make bench         ratios against none and against other tools, about four minutes
#   make format             rewrite with clang-format; make check-format: fail on a difference
#   make install            DESTDIR= PREFIX=/usr/local
#   V=1 shows commands

CC       ?= gcc
CLANG    ?= clang
BPFTOOL  ?= /usr/sbin/bpftool
PYTHON   ?= /usr/bin/python3
PREFIX   ?= /usr/local
UNITDIR  ?= $(PREFIX)/lib/systemd/system
B        := build$(if $(SAN),/$(patsubst 1,san,$(SAN)))
Q        := $(if $(V),,@)
say       = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2);)

CFLAGS   ?= -O2 -g
WARN     := -Wall -Wextra -Wshadow -Wmissing-prototypes
comma    := ,
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined) \
	$(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer-no-link)
# Inlining across files takes a fifth off the CPU time per event. Objects hold plain code as
# well, for unit tests.
LTO      := $(if $(SAN)$(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -MMD -MP $(WARN) $(SANFLAGS) $(CFLAGS) -pthread

LIBS_client    := -lprotobuf-c -levent_core -levent_extra
LIBS_collector := -lbpf -lcap -lseccomp -levent_core -lprotobuf-c
INC_common     := -Icommon -Ibpf -isystem $(B)/proto
INC_client     := -Iclient $(INC_common)
INC_collector  := -Icollector -isystem $(B)/bpf $(INC_common)
INC_tests      := -I. $(INC_common)

objs       = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c $(1)/*/*.c))
PROTO     := $(B)/proto/netwatch.pb-c.h
PROTO_OBJ := $(B)/proto/netwatch.pb-c.o $(B)/proto/google/protobuf/timestamp.pb-c.o
SKELETONS := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.skel.h,$(wildcard bpf/*.bpf.c))
UNIT      := $(patsubst tests/unit/%.c,$(B)/tests/%,$(wildcard tests/unit/test_*.c))
FORMATTED := $(wildcard bpf/*.[ch] $(foreach d,common collector collector/* client tests/unit tests/bench tests/fuzz tests/fuzz/guided doc/examples,$(d)/*.[ch]))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all test test-kernels test-deb unit fuzz guided run bench format check-format install deb clean

all: $(B)/netwatch-collector $(B)/netwatch

$(B)/netwatch-collector: $(call objs,collector) $(B)/common.a
	$(call say,LINK,$@)$(CC) $(SANFLAGS) $(CFLAGS) $(LTO) $(LDFLAGS) -pthread -o $@ $^ $(LIBS_collector)
$(B)/netwatch: $(call objs,client) $(B)/common.a
	$(call say,LINK,$@)$(CC) $(SANFLAGS) $(CFLAGS) $(LTO) $(LDFLAGS) -pthread -o $@ $^ $(LIBS_client)

# Programs without their main, so that unit tests can link any part of them.
$(B)/common.a: $(call objs,common) $(PROTO_OBJ)
$(B)/client.a: $(filter-out %/main.o,$(call objs,client))
$(B)/collector.a: $(filter-out %/main.o,$(call objs,collector))
$(B)/%.a:
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(call objs,collector): $(SKELETONS)
$(call objs,common) $(call objs,client) $(call objs,collector): $(PROTO)
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) $(LTO) $(INC_$(firstword $(subst /, ,$*))) -c -o $@ $<
$(B)/proto/%.o: $(PROTO)
	$(call say,CC,$@)$(CC) -std=gnu11 $(SANFLAGS) $(CFLAGS) $(LTO) -I$(B)/proto -c -o $@ $(B)/proto/$*.c
$(PROTO): proto/netwatch.proto
	@mkdir -p $(@D)
	$(call say,PROTOC,$<)protoc-c -Iproto -I/usr/include --c_out=$(@D) $< google/protobuf/timestamp.proto
$(B)/client/fields.o: $(B)/proto/comments.inc
$(B)/proto/comments.inc: proto/comments.awk proto/netwatch.proto
	@mkdir -p $(@D)
	$(call say,AWK,$@)awk -f $^ > $@

$(B)/bpf/%.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Wno-unused-parameter -MMD -MP -Ibpf -c -o $@ $<
$(B)/bpf/%.skel.h: $(B)/bpf/%.o
	$(call say,SKEL,$@)$(BPFTOOL) gen object $(B)/bpf/$*.linked.o $< && \
		$(BPFTOOL) gen skeleton $(B)/bpf/$*.linked.o name $*_bpf > $@

$(B)/tests/test_client_%: tests/unit/test_client_%.c $(B)/client.a $(B)/common.a
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) -fno-lto $(INC_tests) $(LDFLAGS) -o $@ $(filter-out %.h,$^) -lcmocka $(LIBS_client)
$(B)/tests/test_%: tests/unit/test_%.c $(B)/collector.a $(B)/common.a
	@mkdir -p $(@D)
	$(call say,TEST,$@)$(CC) $(ALL_CFLAGS) -fno-lto $(INC_tests) $(LDFLAGS) -o $@ $(filter-out %.h,$^) -lcmocka $(LIBS_collector) $(LIBS_test)
# Another parser, to compare with.
$(B)/tests/test_http_oracle: LIBS_test := -lhttp_parser

$(B)/tests/bench/traffic: $(call objs,tests/bench)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^

unit: $(if $(T),$(filter %/test_$(T),$(UNIT)),$(UNIT))
	$(Q)for t in $^; do echo "== $$t"; $$t || exit 1; done

# Conversations made at random, by one program; and what libFuzzer finds with its eyes on coverage.
# The latter and all that they call are built by clang, in build/fuzz/.
$(B)/fuzz/%: tests/fuzz/%.c $(wildcard collector/http/*.c)
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)$(CC) -std=gnu11 -D_GNU_SOURCE -MMD -MP $(WARN) -O1 -g \
		-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined \
		-I. -Icommon -Ibpf -o $@ $(filter %.c,$^)
$(B)/guided/event: $(B)/client.a
$(B)/guided/head: $(wildcard collector/http/*.c)
$(B)/guided/%: tests/fuzz/guided/%.c $(B)/common.a
	@mkdir -p $(@D)
	$(call say,FUZZ,$@)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(INC_tests) -o $@ \
		$(filter %.c,$^) $(filter %client.a,$^) $(filter %common.a,$^) $(LIBS_client) -lhttp_parser
guided: $(patsubst tests/fuzz/guided/%.c,$(B)/guided/%,$(wildcard tests/fuzz/guided/*.c))
fuzz: $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*.c))
	$(Q)$(MAKE) SAN=fuzz CC=$(CLANG) guided
	$(Q)FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_SECONDS=$(FUZZ_SECONDS) sh tests/fuzz.sh

test test-kernels test-deb run bench:
	$(Q)B=$(B) T='$(T)' K='$(K)' FULL='$(FULL)' SAN='$(SAN)' PYTHON=$(PYTHON) \
		ARGS='$(subst ','\'',$(ARGS))' sh tests/$(@:test-%=%).sh

format:
	clang-format -i $(FORMATTED)
check-format:
	$(Q)clang-format --dry-run -Werror $(FORMATTED)
deb:
	$(Q)sh collector/debian/build.sh
compile_commands.json:
	bear -- $(MAKE) -B all unit T=-

$(B)/completion.%: $(B)/netwatch
	$(call say,GEN,$@)$< completion $* > $@

install: all $(addprefix $(B)/completion.,bash zsh fish)
	install -D -m 755 $(B)/netwatch "$(DESTDIR)$(PREFIX)/bin/netwatch"
	install -D -m 755 $(B)/netwatch-collector "$(DESTDIR)$(PREFIX)/sbin/netwatch-collector"
	install -D -m 644 $(B)/completion.bash "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/netwatch"
	install -D -m 644 $(B)/completion.zsh "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_netwatch"
	install -D -m 644 $(B)/completion.fish "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/netwatch.fish"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man1" $(wildcard doc/*.1)
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man5" $(wildcard doc/*.5)
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man8" $(wildcard doc/*.8)
	install -D -m 644 proto/netwatch.proto "$(DESTDIR)$(PREFIX)/share/netwatch/netwatch.proto"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/doc/netwatch/examples" $(wildcard doc/examples/*)
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/netwatch" doc/netwatch-dashboard.json doc/netwatch.rules.yml
	install -D -m 644 -t "$(DESTDIR)$(UNITDIR)" collector/netwatch-collector.service collector/netwatch.socket
	sed -i 's|^ExecStart=/usr/|ExecStart=$(PREFIX)/|' "$(DESTDIR)$(UNITDIR)/netwatch-collector.service"
	install -D -m 644 collector/netwatch.sysusers "$(DESTDIR)$(PREFIX)/lib/sysusers.d/netwatch.conf"
clean:
	rm -rf build compile_commands.json

-include $(shell find $(B) -path $(B)/deb -prune -o -name '*.d' -print 2>/dev/null)
