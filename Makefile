# SPDX-License-Identifier: Apache-2.0
#
# make          builds build/wireprof
# make test     unit and property tests, with sanitizers
# make live     tests against real servers (root)
# make check    installs what is missing, then test and live
# make clients  installs what Debian has no package of: drivers of MongoDB, and a current Go and node where those here are old
# make install  under PREFIX=/usr/local, below DESTDIR; make uninstall
# make demo     installs what is missing, builds, records a loaded redis-server
# make lint     clang-tidy, dependency directions
# make fuzz     libFuzzer targets, SECONDS_EACH=60
# make bench    figures of the README: what wireprof and other profilers cost busy servers, as a table and as JSON;
#               bench-sample: what one sample costs;
#               bench-rows: how fast unwind rows are built; bench-memory: with 400 objects;
#               bench-sql: how fast statements are normalised; bench-classify: what a sample's query costs user space;
#               bench-agent: what the agent takes, CPU and memory;
#               bench-scale: a machine of 128 CPUs, simulated (docs/scale.md);
#               bench-symbolize: names and lines of 100 000 samples, beside perf script (linux-perf)
# make soak     an agent for MINUTES=30, while processes, servers and containers come and go: does it grow?
# make pyroscope URL=http://127.0.0.1:4040    a real Pyroscope, asked for CPU by class
# make size     longest functions and files, BPF instructions per program

ifeq ($(origin CC),default)
CC      := gcc
endif
ifeq ($(origin CXX),default)
CXX     := g++
endif
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool /sbin/bpftool) bpftool)
PROTOC_C ?= protoc-c
B       := build

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
CFLAGS  ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(WARN) $(CFLAGS) -D_GNU_SOURCE -I. -I$(B)/gen
SAN     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g
LIBS    := -lbpf -ldw -lelf -lz -lzstd -lsnappy -lstdc++ -llzma -lprotobuf-c -liberty -lmd -lcurl -lmicrohttpd -ljansson -lm -pthread
ARCH    := x86

SRC     := $(wildcard profiler/*.c profiler/*/*.c symbolizer/*.c protocols/*.c out/*.c)
# C++, and without sanitizers everywhere: glue to a library.
SNAPPY  := $(B)/obj/profiler/inflate_snappy.o
OBJ     := $(SRC:%.c=$(B)/obj/%.o) $(B)/obj/gen/profile.pb-c.o $(B)/obj/gen/push.pb-c.o $(SNAPPY)
# Everything but main(): what tests link, built with sanitizers.
TEST_LIB_SRC := $(filter-out profiler/main.c,$(SRC))
TEST_LIB_OBJ := $(TEST_LIB_SRC:%.c=$(B)/san/%.o) $(B)/san/gen/profile.pb-c.o $(B)/san/gen/push.pb-c.o $(SNAPPY)
UNIT    := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*.c tests/property/*.c))
FUZZ    := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/*.c))

GEN     := $(B)/gen/wireprof.skel.h $(B)/gen/profile.pb-c.h $(B)/gen/push.pb-c.h $(B)/gen/page.h

all: $(B)/wireprof

# Short lines, unless V=1.
ifeq ($(V),1)
say =
else
say = @printf '  %-7s %s\n' '$(1)' '$@';
endif

$(B)/wireprof: $(OBJ)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/obj/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/obj/%.o: %.cc
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) -std=c++17 -Wall -Wextra -Wshadow -Werror $(CFLAGS) -fno-exceptions -MMD -MP -c -o $@ $<
$(B)/obj/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CFLAGS) -I$(B)/gen -MMD -MP -c -o $@ $<
$(B)/san/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) $(SAN) -MMD -MP -c -o $@ $<
$(B)/san/gen/%.o: $(B)/gen/%.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -I$(B)/gen $(SAN) -MMD -MP -c -o $@ $<

# --- what runs in the kernel: no vmlinux.h, so it builds in a container ---
$(B)/gen/wireprof.bpf.o: bpf/wireprof.bpf.c $(wildcard bpf/*.h) protocols/mysql_wire.h protocols/mongo_wire.h
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) -target bpf -D__TARGET_ARCH_$(ARCH) -O2 -g -mcpu=v3 -Wall -Wextra -Wno-unused-parameter -Werror -I. -I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@ $<
$(B)/gen/wireprof.skel.h: $(B)/gen/wireprof.bpf.o
	$(call say,GEN)$(BPFTOOL) gen skeleton $< name wireprof_bpf > $@.tmp && mv $@.tmp $@

$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h: out/%.proto
	@mkdir -p $(@D)
	$(call say,GEN)$(PROTOC_C) --proto_path=out --c_out=$(B)/gen $<

# The page, as a C array.
$(B)/gen/page.h: out/page.html
	@mkdir -p $(@D)
	$(call say,GEN){ echo 'static const unsigned char page_html[] = {'; od -An -v -tx1 $< | sed 's/\([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '};'; } > $@.tmp && mv $@.tmp $@

# --- packages: a fresh Debian has none of these; what is there already is left alone ---
BUILD_PACKAGES := gcc g++ libc6-dev clang bpftool libbpf-dev libelf-dev libdw-dev zlib1g-dev libzstd-dev libsnappy-dev liblzma-dev libprotobuf-c-dev \
	protobuf-c-compiler libiberty-dev libmd-dev libcurl4-openssl-dev libmicrohttpd-dev libjansson-dev
DEMO_PACKAGES  := $(BUILD_PACKAGES) redis-server redis-tools python3
CHECK_PACKAGES := $(DEMO_PACKAGES) libc6-dbg libcmocka-dev gdb golang-go rustc nodejs musl-tools binutils elfutils mariadb-server \
	libmariadb-dev python3-pymysql python3-zstandard python3-prometheus-client python3-venv ca-certificates \
	sysbench x265 openssl xz-utils debuginfod libdebuginfod1 chromium chromium-driver python3-selenium procps util-linux libcap2-bin runc \
	systemd man-db python3-yaml
install = @tests/install-packages $(1)

build-packages:
	$(call install,$(BUILD_PACKAGES))
demo-packages:
	$(call install,$(DEMO_PACKAGES))
check-packages:
	$(call install,$(CHECK_PACKAGES))
clients: # those packages are there already, or make check-packages brings them
	@tests/install-clients

# What is built needs the packages first, so these start make again.
demo: demo-packages
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@/usr/bin/python3 tests/live/demo.py
check: check-packages
	@$(MAKE) --no-print-directory clients
	@$(MAKE) --no-print-directory -j$$(nproc) test
	@$(MAKE) --no-print-directory -j$$(nproc) live

# --- tests ---
$(B)/tests/%: tests/%.c $(TEST_LIB_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(ALL_CFLAGS) $(SAN) -Itests -MMD -MP -o $@ $< $(TEST_LIB_OBJ) $(LIBS) -lcmocka

# The unwinder on the host, over recorded stacks. make recordings takes new ones (root, gdb's rights).
REPLAY_SRC := tests/replay/recording.c tests/replay/recording_write.c tests/replay/host_unwind.c
REPLAY_FLAGS := $(ALL_CFLAGS) -Wno-unused-parameter $(SAN) -Itests/replay/shim -Itests/replay
$(B)/tests/replay/%: tests/replay/%.c $(REPLAY_SRC) $(wildcard tests/replay/*.h bpf/*.h) $(TEST_LIB_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(REPLAY_FLAGS) -o $@ $< $(REPLAY_SRC) $(TEST_LIB_OBJ) $(LIBS)
# Connections of MySQL and MongoDB on the host, over recorded ones.
$(B)/tests/replay/mysql $(B)/tests/replay/mongo: $(B)/tests/replay/%: tests/replay/%.c tests/replay/conversation.c $(wildcard tests/replay/*.h bpf/*.h protocols/*.h) $(TEST_LIB_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(REPLAY_FLAGS) -o $@ $< tests/replay/conversation.c $(TEST_LIB_OBJ) $(LIBS)
recordings: $(B)/tests/replay/record $(B)/tests/replay/replay
	@/usr/bin/python3 tests/replay/make_recordings.py

REPLAYS := $(B)/tests/replay/replay $(B)/tests/replay/mysql $(B)/tests/replay/mongo
test: $(UNIT) $(REPLAYS) $(B)/wireprof
	@set -e; for t in $(UNIT) $(REPLAYS); do echo "== $$t"; $$t; done

# Against real servers, as root. LIVE=test_cli runs one file, TEST=test_io_threads one test.
LIVE ?= test_*
# The agent's parts without the profiler, with sanitizers.
DRIVERS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/*/driver.c))
live: $(B)/wireprof $(DRIVERS) $(B)/tests/sql/digest $(B)/tests/page/make_page $(B)/tests/property/test_unwind_rows
	@mkdir -p $(B)/page && $(B)/tests/page/make_page $(B)/page
	@/usr/bin/python3 -m unittest discover -v -s tests/live -p '$(LIVE).py' $(TEST:%=-k %)

# Figures, not tests: nothing here fails because a machine is slow. BENCH_OPTIONS=--help tells more.
BENCH_OBJ := $(patsubst %,$(B)/obj/bench/%.o,overhead overhead_arms overhead_report overhead_stats load load_mysql)
$(B)/gen/empty.bpf.o: tests/bench/empty.bpf.c
	@mkdir -p $(@D)
	$(call say,BPF)$(CLANG) -target bpf -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror -I/usr/include/$(shell $(CC) -print-multiarch) -c -o $@ $<
$(B)/gen/empty.skel.h: $(B)/gen/empty.bpf.o
	$(call say,GEN)$(BPFTOOL) gen skeleton $< name empty_bpf > $@.tmp && mv $@.tmp $@
$(B)/obj/bench/%.o: tests/bench/%.c | $(GEN) $(B)/gen/empty.skel.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) -Itests/bench -MMD -MP -c -o $@ $<
$(B)/bench/overhead: $(BENCH_OBJ) $(filter-out %/main.o,$(OBJ))
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS) -lm -lmariadb
$(B)/bench/scale: $(B)/obj/bench/scale.o $(B)/obj/bench/large_machine.o $(B)/obj/bench/large_maps.o $(filter-out %/main.o,$(OBJ))
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/bench/%: $(B)/obj/bench/%.o $(filter-out %/main.o,$(OBJ))
	@mkdir -p $(@D)
	$(call say,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
bench: $(B)/bench/overhead
	@B=$(B) /usr/bin/python3 tests/bench/overhead.py $(BENCH_OPTIONS)
bench-symbolize: $(B)/bench/symbolize
	@/usr/bin/python3 tests/bench/symbolize.py $(BENCH_OPTIONS)
bench-sample: $(B)/bench/sample_cost
	@$< $(BENCH_OPTIONS)
bench-rows: $(B)/bench/rows
	@$< $(BENCH_OPTIONS)
bench-classify: $(B)/bench/classify
	@$< $(BENCH_OPTIONS)
bench-sql: $(B)/bench/sql
	@$< $(BENCH_OPTIONS)
bench-agent: $(B)/wireprof
	@/usr/bin/python3 tests/bench/agent_cost.py $(BENCH_OPTIONS)
pyroscope: $(B)/wireprof
	@/usr/bin/python3 tests/bench/pyroscope.py $(URL) $(BENCH_OPTIONS)
MINUTES ?= 30
soak: $(B)/wireprof
	@/usr/bin/python3 tests/bench/soak.py --minutes $(MINUTES)
bench-scale: $(B)/bench/scale
	@$< $(BENCH_OPTIONS)
bench-memory: $(B)/wireprof
	@B=$(B) /usr/bin/python3 tests/bench/memory.py

fuzz-build: $(FUZZ)
$(B)/fuzz/%: tests/fuzz/%.c $(TEST_LIB_SRC) $(SNAPPY) | $(GEN)
	@mkdir -p $(@D)
	$(call say,FUZZ)$(CLANG) $(ALL_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< $(TEST_LIB_SRC) $(SNAPPY) $(B)/gen/profile.pb-c.c $(B)/gen/push.pb-c.c $(LIBS)
SECONDS_EACH ?= 60
fuzz: $(FUZZ)
	@set -e; for f in $(FUZZ); do n=$$(basename $$f); mkdir -p $(B)/corpus/$$n; echo "== $$n"; \
	 $$f -max_total_time=$(SECONDS_EACH) -timeout=5 -rss_limit_mb=512 -print_final_stats=1 $(B)/corpus/$$n tests/fuzz/corpus/$$n; done

# --- installing: what is built already is not built again ---
PREFIX     ?= /usr/local
DOC_DIR    := $(PREFIX)/share/doc/wireprof
INSTALLED  := $(PREFIX)/bin/wireprof $(PREFIX)/share/man/man1/wireprof.1 $(PREFIX)/share/man/man8/wireprof-agent.8 \
	$(PREFIX)/share/bash-completion/completions/wireprof $(PREFIX)/lib/systemd/system/wireprof-agent.service \
	$(addprefix $(DOC_DIR)/,README.md LICENSE wireprof-agent.conf)
install: $(B)/wireprof
	install -D -m 755 $(B)/wireprof $(DESTDIR)$(PREFIX)/bin/wireprof
	install -D -m 644 man/wireprof.1 $(DESTDIR)$(PREFIX)/share/man/man1/wireprof.1
	install -D -m 644 man/wireprof-agent.8 $(DESTDIR)$(PREFIX)/share/man/man8/wireprof-agent.8
	install -D -m 644 deploy/bash-completion/wireprof $(DESTDIR)$(PREFIX)/share/bash-completion/completions/wireprof
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(DOC_DIR)
	sed 's|/usr/local/|$(PREFIX)/|' deploy/systemd/wireprof-agent.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/wireprof-agent.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/wireprof-agent.service
	install -m 644 README.md LICENSE deploy/wireprof-agent.conf $(DESTDIR)$(DOC_DIR)
uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	-rmdir $(DESTDIR)$(DOC_DIR)

# --- looking at ourselves ---
LINT_SRC := $(SRC)
lint: $(GEN)
	clang-tidy --quiet $(LINT_SRC) -- -std=gnu11 -D_GNU_SOURCE -I. -isystem $(B)/gen
	@tests/lint-layers
size: $(B)/gen/wireprof.bpf.o
	@tests/size $(B)/gen/wireprof.bpf.o

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

.PHONY: all build-packages demo-packages check-packages clients demo check test live fuzz fuzz-build bench bench-sample bench-rows \
	bench-classify bench-sql bench-memory bench-scale bench-agent bench-symbolize recordings install uninstall lint size clean
.DELETE_ON_ERROR:
.SECONDARY:
