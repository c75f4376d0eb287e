/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map: key, value, who writes, who reads, when an entry dies, what happens when it is full. */
#ifndef WIREPROF_MAPS_H
#define WIREPROF_MAPS_H

#include "types.h"
#include <bpf/bpf_helpers.h>
#include "arch_x86_64.h"
#include "events.h"

const volatile unsigned int ring_wake_bytes = RING_BYTES_MIN / 4;

/* Counts about seconds, on the user side. */
unsigned int epoch;
/* Set by the user side: how often the receive hook was attached and detached, and whether it is off now. */
unsigned int hook_epoch;
bool hook_is_off;
/* Set by the user side, when it looks at replies; and here, when it has been told to. */
bool watches_replies;

/*
 * The one way up; its size is set at load, by the number of CPUs. Written by every program, read by the user side every DRAIN_MS or when it is a quarter full.
 * Full: the event is dropped and counted (SAMPLES_LOST, EVENTS_LOST).
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES_MIN);
} ring SEC(".maps");

/* CPU -> struct clock. Written by the user side, read by the sampler; its size, the number of CPUs, is set at load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct clock);
	__uint(max_entries, 1);
} clocks SEC(".maps");

/* enum counter -> count, per CPU. Written here, read by the user side. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, N_COUNTERS);
} counters SEC(".maps");

/*
 * Process id -> struct target. Written by the user side, and here when a target forks, or a process fits the rule; an entry dies when
 * its process does. Full: the process is not followed (TARGETS_FULL).
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u32);
	__type(value, struct target);
	__uint(max_entries, MAX_TARGETS);
} targets SEC(".maps");

struct table_chunks {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, TABLE_CHUNK_BYTES);
};

/*
 * (Number, chunk) -> a part of a process's executable mappings. Written by the user side before a target names the
 * number, read by the unwinder; deleted by the user side a while after no target names it. Full: stacks stop with NO_MAPS.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * MAX_TARGETS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mapping_key);
	__type(value, struct mapping_chunk);
} process_maps SEC(".maps");

/*
 * Table index -> an object's unwind rows, as chunks. Written by the user side before any mapping names the index,
 * read by the unwinder; dies when the last process that maps the object goes. Full: NO_TABLE.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_TABLES);
	__type(key, u32);
	__array(values, struct table_chunks);
} tables SEC(".maps");

/*
 * What a connection's last message is: pointers, not bytes. Set-associative by the socket's address: a
 * connection lives in one of SOCKET_WAYS neighbouring places. Written by the receive hook, read when a
 * sample fires, and by the user side (mapped read-only) to learn what a server is asked for. An entry dies at end of stream, or is evicted when its set is full (SOCKETS_EVICTED).
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct socket_slot);
	__uint(max_entries, MAX_SOCKETS);
	__uint(map_flags, BPF_F_MMAPABLE);
} sockets SEC(".maps");

/*
 * First bytes of a message that is large or comes in pieces. A connection takes a place when it needs one, each in turn;
 * `sock` says whose it is. Written by the receive hook, read when a sample fires, and by the user side like sockets; when
 * all have been given out, the oldest loses its place, and takes another with its next message.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct head_copy);
	__uint(max_entries, MAX_HEADS);
	__uint(map_flags, BPF_F_MMAPABLE);
} heads SEC(".maps");

/*
 * Receive buffer -> the connection that received into it last, so that a request in a buffer that several
 * connections share is known to be overwritten. Direct-mapped by address: a collision forgets the older
 * one, and then only the bytes themselves can tell. Written by the receive hook, read when a sample fires.
 */
struct buffer_owner {
	u64 buffer, sock;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct buffer_owner);
	__uint(max_entries, MAX_BUFFERS);
} buffers SEC(".maps");

/*
 * Socket -> its MySQL connection. Written by the receive hook; read when a sample fires. An entry dies at end of stream, or
 * when the user side finds that the client has quit, the process has ended, or the map is filling up and the connection long
 * unused. Full: CONNECTIONS_FULL.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u64);
	__type(value, struct mysql_connection);
	__uint(max_entries, MAX_CONNECTIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} connections SEC(".maps");

/*
 * (Connection, id) -> the SQL of a prepared statement. Written by the send hook, and by the receive hook where SQL names
 * it; read when a sample fires. An entry dies when the client closes it, or when the user side, twice a minute and every
 * MAX_PREPARED / 4 statements, finds its connection gone or reset. Full: PREPARED_FULL.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct prepared_key);
	__type(value, struct prepared_statement);
	__uint(max_entries, MAX_PREPARED);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} prepared SEC(".maps");

/* Socket -> its MongoDB connection. As connections. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, u64);
	__type(value, struct mongo_connection);
	__uint(max_entries, MAX_CONNECTIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} mongo_connections SEC(".maps");

/*
 * (Process, id) -> the command that opened the cursor. Written when a reply brings the id; read when a sample fires. An entry
 * dies when a reply says that the cursor is exhausted, or when the user side finds it long unused. Full: CURSORS_FULL.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct cursor_key);
	__type(value, struct open_cursor);
	__uint(max_entries, MAX_CURSORS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cursors SEC(".maps");

/* An entry of either connections map to begin with: all zero, never written. */
struct no_connection {
	union {
		struct mysql_connection mysql;
		struct mongo_connection mongo;
	};
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, u32);
	__type(value, struct no_connection);
	__uint(max_entries, 1);
} no_connection SEC(".maps");

/* Where a cursor's entry is put together: one a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct open_cursor);
	__uint(max_entries, 1);
} new_cursor SEC(".maps");

enum protocol {
	PROTOCOL_ANY, /* not followed: the connection is in sockets */
	PROTOCOL_MYSQL, /* in connections */
	PROTOCOL_MONGO, /* in mongo_connections */
};

/* What a thread does, or a goroutine: the connection that it serves. */
struct worker {
	u64 sock; /* 0: none */
	u64 who; /* the thread's id, or the goroutine's */
	u32 epoch; /* of the hook, when it was seen to begin with sock, or to end: unseen receives may have come in another */
	u32 header_before; /* of the receive of `header`: see struct receive */
	u32 generation; /* of the goroutine's program; 0: a thread */
	u16 port; /* local, of sock; 0: AF_UNIX */
	u8 protocol; /* enum protocol, of sock */
	u8 bypass; /* the last receive came by io_uring or splice */
	u8 speaks_mysql, speaks_mongo; /* it has served such a socket */
	u8 awaits_reply; /* what it sends next on such a socket tells something */
	/* The socket of the MySQL connection that it read to the end of a packet, and the next packet's header, if it has come. */
	u8 has_header;
	u8 header[4];
	u64 border;
};

/*
 * Thread -> its work. Written by the receive hook, read when a sample fires; dies with the thread. Out of memory:
 * RECEIVES_NO_STATE.
 */
struct thread_state {
	struct worker worker;
	u64 number; /* for a pointer to become one */
	u32 target_epoch; /* as of when the following was looked up */
	struct go_target go;
};
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

/*
 * Goroutine -> its work, which moves between threads. Written by the receive hook, read when a sample fires. An entry dies at
 * end of stream. Many goroutines come to their ends without, so when it is full, those that were not seen for longest lose
 * their places; a silent one has its own again with its next receive.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct goroutine_key);
	__type(value, struct worker);
	__uint(max_entries, MAX_GOROUTINES);
} goroutines SEC(".maps");

/* The unwinder at a frame of the user stack. */
#define STACK_WINDOW 32 /* words; a power of two that holds ARCH_SIGCONTEXT_WORDS */
#define NO_WINDOW    ((u64)1 << 63)
struct unwind {
	struct frame_regs regs;
	u64 start, end; /* the mapping of the last frame: the next is often in the same */
	u32 table, row_base;
	u32 maps;	 /* number of the mappings in process_maps */
	u32 first;	 /* where user frames begin in scratch */
	u32 n;		 /* frames so far */
	u32 stop;	 /* enum stop */
	u32 guessed;	 /* frames left by frame pointer, where there was no row */
	u32 switches;	 /* callers' frames below their callees' */
	u32 interrupted; /* pc is where this frame goes on, not the address behind a call */
	u32 all_regs;	 /* every register is known */
	/* where there is no row, see apply_no_row() */
	u32 phase, scanned, scan, from_n;
	struct frame_regs from;
	u64 window_start; /* address of window[0]; NO_WINDOW: it holds nothing */
	u64 window[STACK_WINDOW];
};

/* A receive, as both hooks see it. */
struct receive {
	u64 sock; /* kernel address, as a name only */
	u64 buffer;
	s32 bytes; /* return value */
	union {
		u32 write_seq; /* TCP */
		u32 queued; /* AF_UNIX: packets left in the queue */
	};
	/*
	 * Proof that all receives of a connection are seen: what one leaves (`proof`) is what the next finds (`before`). TCP's
	 * is its position in the stream, for others it is the hook's epoch.
	 */
	u32 proof, before;
	u32 wanted; /* bytes that were asked for; of a vector, its first element's */
	u32 inode; /* of the socket, for protocols that are followed only */
	u32 tgid;
	u16 family;
	u16 port; /* local; 0: AF_UNIX */
};

/* Where a sample is put together before it is sent: one a CPU, used by the sampler alone. */
#define MAX_FRAMES (MAX_KERNEL_FRAMES + MAX_USER_FRAMES + 1)
struct scratch {
	struct sample_event event;
	u8 data[MAX_FRAMES * 8 + HEAD_BYTES + TAIL_BYTES];
	struct unwind unwind; /* not sent */
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, u32);
	__type(value, struct scratch);
	__uint(max_entries, 1);
} scratch SEC(".maps");

/* From now on, and known for sure. */
static __always_inline void worker_serves(struct worker *worker, u64 sock, u16 port, enum protocol protocol)
{
	worker->sock = sock;
	worker->port = port;
	worker->protocol = protocol;
	worker->bypass = 0;
	worker->epoch = hook_epoch;
}

/* What it was in the middle of when the hook was detached means nothing any more. */
static __always_inline void worker_wakes(struct worker *worker)
{
	if (worker->epoch == hook_epoch)
		return;
	worker->has_header = worker->awaits_reply = 0;
	worker->border = 0;
}

static __always_inline void count_more(enum counter which, u64 more)
{
	u32 key = which;
	u64 *n = bpf_map_lookup_elem(&counters, &key);

	if (n)
		*n += more;
}

static __always_inline void count(enum counter which)
{
	count_more(which, 1);
}

static __always_inline void send_process_event_with(u32 type, u32 pid, u32 parent, u64 cpu_ns)
{
	struct process_event e = {
		.h = {.type = type, .pid = pid, .time_ns = bpf_ktime_get_ns()},
		.parent = parent,
		.cpu_ns = cpu_ns,
	};

	if (bpf_ringbuf_output(&ring, &e, sizeof(e), BPF_RB_FORCE_WAKEUP))
		count(COUNTER_EVENTS_LOST);
}

static __always_inline void send_process_event(u32 type, u32 pid, u32 parent)
{
	send_process_event_with(type, pid, parent, 0);
}

#endif
