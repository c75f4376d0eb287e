/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and the user side tell each other. Compiled by both.
 *
 * kernel -> user, one ring buffer: a struct event_header, then by type
 *	EVENT_SAMPLE	struct sample_event, then
 *			u64 kernel[n_kernel], u64 user[n_user]	return addresses, leaf first; where a signal
 *				interrupted a frame, it goes on at the address less one: so for all frames but
 *				the first, the address less one is in the instruction that the frame stands at
 *			u8 head[head_bytes], u8 tail[tail_bytes]	request bytes
 *	EVENT_FORK, EVENT_EXEC, EVENT_EXIT	struct process_event
 *	EVENT_JOIN	struct process_event: the process fits the rule, and is a target now
 *			(EVENT_EXIT also tells that it fits no more)
 *	EVENT_REPLIES	struct process_event: replies of the process have to be looked at, for statements' or cursors' ids
 *
 * user -> kernel: which processes (targets), where their objects are mapped (process_maps), and the
 * objects' unwind rows (tables). Both of the latter are sorted arrays cut into chunks, with a directory of
 * where each chunk begins, so that a look-up is one binary search in the directory and one in the chunk
 * that it names, without a helper call per step.
 */
#ifndef WIREPROF_EVENTS_H
#define WIREPROF_EVENTS_H

#include <linux/types.h>
#include "../protocols/mongo_wire.h"
#include "../protocols/mysql_wire.h"
#include "unwind_row.h"

#define MAX_TARGETS	  16384	/* processes; beyond: counted in targets_full */
#define MAX_TABLES	  65536 /* objects that processes map at the same time, all together */
#define MAX_SOCKETS	  65536 /* connections remembered; a power of two */
#define SOCKET_WAYS	  4	/* places that one connection can take among them */
#define MAX_BUFFERS	  65536 /* receive buffers remembered; a power of two */
#define RING_BYTES_CPU	  (1u << 20) /* of the ring buffer, for each CPU: a second and more of samples; twice that above */
#define RING_LOW_HZ	  200	     /* this frequency; */
#define RING_BYTES_MIN	  (2u << 20) /* but at least and at most so much */
#define RING_BYTES_MAX	  (64u << 20)
#define MAX_KERNEL_FRAMES 127
#define MAX_USER_FRAMES	  1024
#define MAX_HEADS	  8192 /* copies of messages' first bytes; a power of two */
#define HEAD_BYTES	  512  /* copied when received, where the bytes will not wait */
#define TAIL_BYTES	  4096 /* read when a sample fires */
#define HEAD_COPY_MIN	  2048 /* a receive of this size is worth the copy */
#define COMM_BYTES	  16
#define MAX_CONNECTIONS	  16384 /* that speak MySQL, and as many that speak MongoDB's protocol */
#define MAX_PREPARED	  16384 /* prepared statements remembered; as many as a server allows by default */
#define MAX_CURSORS	  4096	/* of MongoDB, open and remembered */
#define MAX_GOROUTINES	  16384 /* that have received something lately */
#define STREAM_BYTES	  4096	/* of a command, copied when received */
#define END_BYTES	  256	/* of a longer one of MongoDB's, from its end: there, its database may be */
#define REPLY_TAIL_BYTES  512	/* of a reply, where a cursor's id is */
#define ORIGIN_BYTES	  256	/* of the command that chose the schema */

/* --- mappings of a process --- */

#define CHUNK_BYTES 4096

/* One executable mapping of a process. */
struct exec_mapping {
	__u64 start, end; /* [start, end) in the process */
	__u32 table;	  /* index in tables; NO_TABLE: no rows (yet) */
	__u32 row_base;	  /* row pc of `start`: row pc = address - start + row_base */
	__u64 reserved;
};
#define NO_TABLE	   0xffffffffu
#define NO_CFI		   0xfffffffeu /* in .table: it has no rows and never will: JIT code, files without CFI */
#define MAPPINGS_PER_CHUNK (CHUNK_BYTES / sizeof(struct exec_mapping))
#define MAPPING_CHUNKS	   (CHUNK_BYTES / sizeof(__u64))

/*
 * A process's mappings are published as a whole under a new number, then the target is told that. Few processes have
 * more than one chunk of them: chunk 0. The others have a directory there, and MAPS_DIRECTORY in their number.
 */
struct mapping_key {
	__u32 maps; /* number */
	__u32 chunk;
};
#define MAPS_DIRECTORY (1u << 31)

struct mapping_directory {	     /* chunk 0, with MAPS_DIRECTORY */
	__u64 first[MAPPING_CHUNKS]; /* start of the first mapping of chunk i + 1; unused: ~0 */
};
struct mapping_chunk {
	struct exec_mapping mapping[MAPPINGS_PER_CHUNK]; /* sorted; unused ones have start ~0 */
};

/* --- tables --- */

/*
 * A table: the unwind rows of one object, as a tree of two or three levels whose nodes are chunks, small ones so that a
 * small library wastes little. Most have two levels.
 *
 *	chunk	0		root
 *		1 ..		rules, RULES_PER_CHUNK in each
 *		then		directories, if there are three levels
 *		then		rows, ROWS_PER_CHUNK in each; with one level, the root has them
 *
 * A directory says where its children begin, first[i] for child i. No search asks that of the first, as nothing lies
 * before it: in that place stands the header, the number of levels (in the root) and of the first child's chunk. The
 * others follow it. In a root of rows the header takes the place of the first row.
 */
#define TABLE_CHUNK_BYTES 1024
#define ROWS_PER_CHUNK	  (TABLE_CHUNK_BYTES / sizeof(struct unwind_row))
#define RULES_PER_CHUNK	  (TABLE_CHUNK_BYTES / sizeof(struct unwind_rule))
#define TABLE_FANOUT	  (TABLE_CHUNK_BYTES / sizeof(__u32))
#define MAX_TABLE_ROWS	  (ROWS_PER_CHUNK * TABLE_FANOUT * TABLE_FANOUT)
#define MAX_TABLE_RULES	  65536

#define TABLE_HEADER(levels, child) ((__u32)(levels) << 24 | (child))
#define TABLE_LEVELS(header)	    ((header) >> 24)
#define TABLE_CHILD(header)	    ((header)&0xffffff)

struct table_chunk {
	union {
		__u32 first[TABLE_FANOUT];		  /* pc; unused: ~0 */
		struct unwind_row row[ROWS_PER_CHUNK]; /* sorted; unused ones have pc ~0 */
		struct unwind_rule rule[RULES_PER_CHUNK];
	};
};

_Static_assert(sizeof(struct exec_mapping) == 32, "shared layout");
_Static_assert(sizeof(struct mapping_directory) == CHUNK_BYTES, "shared layout");
_Static_assert(sizeof(struct mapping_chunk) == CHUNK_BYTES, "shared layout");
_Static_assert(sizeof(struct table_chunk) == TABLE_CHUNK_BYTES, "shared layout");

/* Of a Go program: where its runtime says which goroutine a thread works for (symbolizer/go_layout.h). */
struct go_target {
	__u32 generation; /* its number among all that were seen; 0: it is no Go program */
	__s32 tls;
	__u16 g_m, g_goid, m_curg, reserved; /* g_goid 0: not known where, so that nothing is known of its requests */
};

struct target {
	__u32 maps; /* number of its mappings in process_maps; a child has its parent's until it has its own; 0: none yet */
	__u32 flags;
	struct go_target go;
};
#define TARGET_MYSQL 1 /* flag: it has the functions of a MySQL server */

/* Which other processes become targets by themselves. */
enum rule_kind { RULE_NONE, RULE_ALL, RULE_COMM, RULE_CGROUP };
struct target_rule {
	__u32 kind;
	__s32 subsys; /* RULE_CGROUP: index of the hierarchy's controller among the kernel's; -1: the unified hierarchy */
	__u64 cgroup; /* its id, in that hierarchy */
	char comm[COMM_BYTES]; /* RULE_COMM */
};

/* How often a CPU's sampler is interrupted, there. Value of the clocks map. */
struct clock {
	__u32 period_ns;
	__u32 rests; /* the user side wants to know at once when a target runs there */
};

/* A connection's last message: where it is, not what it says. Value of the sockets map. */
enum {
	SLOT_PIECES = 1 << 0, /* messages of this connection come in pieces: keep a copy of the head */
	SLOT_MORE = 1 << 1,   /* AF_UNIX: bytes were left in the queue by the last receive */
	SLOT_SHARED = 1 << 2, /* its buffer also takes other connections' messages: the same */
};
struct socket_slot {
	__u64 sock;	/* kernel address, as a name only */
	__u64 buffer;	/* user address of the last receive */
	__u32 received;	/* bytes of the message so far; all ones: that many, or more */
	__u32 expected; /* bytes of the message at least, if its head declares them; else 0 */
	__u32 last;	/* bytes of the last receive */
	__u32 tgid;	/* who received */
	__u32 write_seq;	/* TCP: bytes queued for sending when the last receive happened */
	__u16 head_bytes; /* in heads */
	__u16 flags;
	__u64 reader;	/* the thread or goroutine that received last: another connection may come to lie where one was closed */
	__u32 head;	/* its place in heads, from 1 on; 0: none yet */
	__u32 proof;	/* that nothing was received since, unseen: see struct receive */
	__u32 since;	/* jiffies when the message began */
	__u32 reserved;
};
_Static_assert(sizeof(struct socket_slot) == 64, "one cache line");

/* First bytes of a connection's message, copied when they came. Value of the heads map. */
struct head_copy {
	__u64 sock;
	__u64 at; /* offset in the message up to which the head was followed */
	__u8 bytes[2 * HEAD_BYTES]; /* HEAD_BYTES are used; the rest is for the verifier's bound on an append */
};

/* --- MySQL: see mysql.h --- */

enum mysql_flags {
	MYSQL_SURE = 1 << 0,	   /* a command or a handshake was seen: this is MySQL, and this the server's side */
	MYSQL_HEADERS = 1 << 1,	   /* the server reads a packet's header first, then the rest */
	MYSQL_COMPRESSES = 1 << 2, /* the client asked for compression; it begins with the first command */
	MYSQL_COMPRESSED = 1 << 3, /* packets have the header of the compressed protocol */
	MYSQL_ENCRYPTED = 1 << 4,  /* TLS */
	MYSQL_LONG = 1 << 5,	   /* the packet is of the greatest length: the next goes on with it */
	MYSQL_FRESH = 1 << 6,	   /* of a command's packet, the payload is still to come */
	MYSQL_COLLECT = 1 << 7,	   /* what comes is the command's */
	MYSQL_DATA = 1 << 8,	   /* what comes is what the command asked the client for: LOAD DATA LOCAL */
	MYSQL_IN_PLAY = 1 << 9,	   /* part of the batch came in this receive */
	MYSQL_PREPARING = 1 << 10, /* the reply brings a statement's id */
	MYSQL_SCHEMA = 1 << 11,	   /* the command chose a schema, if the reply does not refuse */
	MYSQL_NAMED = 1 << 12,	   /* EXECUTE name: `statement` is a hash of the name */
	MYSQL_TRUSTED = 1 << 13,   /* a TARGET_MYSQL has it */
};

/*
 * A connection that speaks MySQL; value of the connections map, whose key is the socket's kernel address. A batch is the
 * commands that come in one receive, nearly always one; `stream` has its packets as they came, headers and all.
 */
struct mysql_connection {
	__u64 since_ns;	  /* when it began or was reset: what was prepared before then is gone */
	__u64 reader;	  /* the thread or goroutine that received last: nobody else works for the command */
	__u64 buffer;	  /* of the receive at hand */
	__u64 start;	  /* where the command's payload came to: a server that reads headers first answers from there */
	__u64 received;	  /* bytes of the batch, so far */
	__u32 n, at;	  /* bytes of the receive at hand, and how far it was followed */
	__u32 from;	  /* where in it the batch begins or goes on */
	__u32 inode;	  /* of the socket: another one can come to lie at the same address */
	__u32 left;	  /* of the packet at hand, still to come */
	__u32 flags;	  /* enum mysql_flags */
	__u32 prepared;	  /* id of the statement that was prepared last; 0: none */
	__u32 statement;  /* that the command is about */
	__u32 scan, word; /* of the SQL that is looked at: how far, and the hash of its word */
	__u32 sequence;	  /* of the last packet; 0 behind an empty one */
	__u32 used;	  /* epoch of the last receive */
	__u16 commands;	  /* of the batch: begun, */
	__u16 whole;	  /* and received to the end */
	__u16 origin_bytes;
	__u8 command;	  /* enum mysql_command; the last of the batch */
	__u8 header_bytes; /* of the next packet's header, so far */
	__u8 header[8];
	__u32 tgid; /* whose it is */
	__u32 proof; /* as in struct socket_slot */
	__u32 began; /* jiffies when the batch did */
	__u32 gaps;  /* times that something was received unseen */
	__u32 write_seq; /* as in struct socket_slot */
	__u8 origin[ORIGIN_BYTES]; /* the first bytes of the command that chose the schema, as in stream */
	__u32 bytes;		   /* in stream; from here on as in struct prepared_statement */
	__u8 stream[2 * STREAM_BYTES]; /* STREAM_BYTES are used; the rest is for the verifier's bound on an append */
};

/* Value of the prepared map: the batch that prepared the statement. */
struct prepared_statement {
	__u32 bytes;
	__u8 stream[STREAM_BYTES];
};

struct prepared_key {
	__u64 sock, since_ns; /* the connection */
	__u32 id;	      /* the server's, or a hash of the name that SQL gave it, */
	__u32 named;	      /* then 1, and the connection's gaps: another may have got the name in one */
};

/* --- MongoDB: see mongo.h --- */

enum mongo_flags {
	MONGO_HEADERS = 1 << 0, /* the server reads a message's header first, then the rest */
	MONGO_OPENS = 1 << 1,	/* the batch is one command that may open a cursor */
	MONGO_EXHAUSTS = 1 << 2, /* it got the last of a cursor */
};

/*
 * A connection that speaks MongoDB's protocol; value of the mongo_connections map, whose key is the socket's kernel address.
 * A batch is the messages that come in one receive, nearly always one; `stream` has them as they came.
 */
struct mongo_connection {
	__u64 reader;	 /* the thread or goroutine that received last: nobody else works for the message */
	__u64 buffer;	 /* of the receive at hand */
	__u64 received;	 /* bytes of the batch, so far */
	__u64 cursor;	 /* that the message asks for more of; 0: none */
	__u64 opened;	 /* cursor that the reply tells of; 0: none */
	__u32 n, at;	 /* bytes of the receive at hand, and how far it was followed */
	__u32 inode;	 /* of the socket: another one can come to lie at the same address */
	__u32 left;	 /* of the message at hand, still to come */
	__u32 last;	 /* where in the batch the message at hand begins */
	__u32 flags;	 /* enum mongo_flags */
	__u32 used;	 /* epoch of the last receive */
	__u32 reply_left; /* of the reply, still to be sent */
	__u16 messages;	 /* of the batch: begun, */
	__u16 whole;	 /* and received to the end */
	__u16 tail_bytes, end_bytes;
	__u8 header_bytes; /* of the next message's header, so far */
	__u8 reserved[3];
	__u32 tgid; /* whose it is */
	__u32 proof, write_seq; /* as in struct socket_slot */
	__u32 began; /* jiffies when the batch did */
	__u8 header[MONGO_HEADER_BYTES];
	__u8 end[END_BYTES]; /* of the message, where that is longer than stream */
	__u8 tail[2 * REPLY_TAIL_BYTES]; /* of the reply: its end, and what was sent behind that */
	__u32 bytes;			 /* in stream; from here on as in struct prepared_statement */
	__u8 stream[2 * STREAM_BYTES];
};

/* A cursor that is open: value of the cursors map. */
struct open_cursor {
	__u32 used; /* epoch of the last message about it */
	struct prepared_statement opener;
};
struct cursor_key {
	__u64 id;
	__u32 tgid;
	__u32 reserved;
};

/* --- Go: see goroutine.h --- */

struct goroutine_key {
	__u64 id;	  /* no two of a program have the same, ever */
	__u32 generation; /* of struct go_target */
	__u32 reserved;
};

/* --- events --- */

enum event_type { EVENT_SAMPLE = 1, EVENT_FORK, EVENT_EXEC, EVENT_EXIT, EVENT_REPLIES, EVENT_JOIN };

struct event_header {
	__u32 type; /* enum event_type */
	__u32 pid;
	__u64 time_ns; /* CLOCK_MONOTONIC */
};

#define CPU_NOT_KNOWN (~0ull)
struct process_event {
	struct event_header h; /* pid: the process that the event is about (the child of a fork) */
	__u32 parent;	       /* EVENT_FORK */
	__u32 reserved;
	__u64 cpu_ns; /* EVENT_EXIT: CPU time that the process used, as the kernel accounts it; or CPU_NOT_KNOWN */
};

/* Who the thread worked for (DESIGN.md, "Who owns a sample"). */
#define PHASES(X)                                                                                  \
	X(NONE, "none")                                                                            \
	X(EXECUTE, "execute")                                                                      \
	X(REPLY, "reply")                                                                          \
	X(RECEIVE, "receive")                                                                      \
	X(IDLE, "idle")

/* Why the user stack ends where it does. Only END and ZERO are the thread's entry. */
#define STOPS(X)                                                                                   \
	X(NONE, "no user stack")                                                                   \
	X(END, "entry: undefined return address")                                                  \
	X(ZERO, "entry: return address is zero")                                                   \
	X(DEPTH, "deeper than the frame limit")                                                    \
	X(NO_MAPS, "mappings of the process not loaded yet")                                       \
	X(NO_MAPPING, "address in no executable mapping")                                          \
	X(NO_TABLE, "object without unwind rows")                                                  \
	X(NO_ROW, "address that no unwind row covers, and no trace of its caller")                  \
	X(UNSUPPORTED, "CFI rule not supported")                                                   \
	X(READ_FAILED, "stack memory could not be read")                                           \
	X(BAD_STACK, "stack pointer did not advance")                                              \
	X(NO_FRAME, "memory without CFI (JIT code), and no trace of its caller")                    \
	X(NO_REGISTER, "CFI rule needs a register that is not followed through calls")             \
	X(BAD_TABLE, "unwind table lacks what it names")

/* What the kernel side counts; index of the counters map. */
#define COUNTERS(X)                                                                                \
	X(SAMPLES, "samples taken of the targets")                                                 \
	X(SAMPLES_LOST, "samples lost: ring buffer full")                                          \
	X(EVENTS_LOST, "process events lost: ring buffer full")                                    \
	X(RECEIVES_BYPASS, "receives outside read-family system calls (io_uring, splice)")         \
	X(RECEIVES_NO_STATE, "receives not recorded: no memory for the thread's state")            \
	X(SOCKETS_EVICTED, "connections forgotten: socket table full")                             \
	X(REQUEST_LOST, "samples whose request was forgotten before they fired")                   \
	X(REQUEST_UNREADABLE, "samples whose request bytes could not be read")                     \
	X(TARGETS_FULL, "processes not followed: target table full")                               \
	X(CONNECTIONS_FULL, "MySQL and MongoDB receives not followed: no room for the connection")           \
	X(PREPARED, "MySQL statements prepared")                                                   \
	X(PREPARED_FULL, "MySQL prepared statements not remembered: no room")                       \
	X(CURSORS_FULL, "MongoDB cursors not remembered: no room")                                       \
	X(GOROUTINE_UNKNOWN, "receives of Go programs whose goroutine could not be read")                  \
	X(GUESSED_FRAMES, "frames left by frame pointer or by a return address on the stack")                 \
	X(GUESSED_SAMPLES, "samples with such frames")                                                     \
	X(SAMPLE_NS, "nanoseconds spent taking samples")                                                   \
	X(TARGET_NS, "nanoseconds of CPU that targets used, by samples")                                   \
	X(RECEIVES, "runs of the receive hook for targets")                                                 \
	X(RECEIVES_OF_OTHERS, "runs of the receive hook for others, and for other system calls")

#define X(name, text) PHASE_##name,
enum phase { PHASES(X) N_PHASES };
#undef X
#define X(name, text) STOP_##name,
enum stop { STOPS(X) N_STOPS };
#undef X
#define X(name, text) COUNTER_##name,
enum counter { COUNTERS(X) N_COUNTERS };
#undef X

enum sample_flags {
	SAMPLE_KERNEL_MODE = 1 << 0,
	REQUEST_KNOWN = 1 << 1,	   /* a request's receive was found: the fields below hold */
	REQUEST_REUSED = 1 << 2,   /* its buffer took a later receive of another connection */
	REQUEST_NO_READ = 1 << 3,  /* tail could not be read */
	REQUEST_BYPASS = 1 << 4,   /* the thread's last receive bypassed the system calls we read */
	SOCKET_NAMED = 1 << 5,	   /* AF_UNIX: bound to a path, so the server's side */
	REQUEST_MYSQL = 1 << 6,	   /* from the connections map: head is the origin, tail the stream */
	REQUEST_PREPARED = 1 << 7, /* tail is the stream that prepared the statement, or opened the cursor */
	REQUEST_MONGO = 1 << 8,	   /* from the mongo_connections map: head is the end, tail the stream */
	REQUEST_MISSED = 1 << 9,   /* there may be one, which came while the hook was not attached */
	SAMPLE_UNTAGGED = 1 << 10, /* taken while the hook was not attached */
};

struct sample_event {
	struct event_header h;
	__u32 tid;
	__u16 n_kernel, n_user;
	__u8 phase;		 /* enum phase */
	__u8 stop;		 /* enum stop */
	__u8 family;		 /* AF_INET, AF_INET6, AF_UNIX or 0 */
	__u8 command;		 /* with REQUEST_MYSQL: these, as in struct mysql_connection */
	__u16 mysql;		 /* enum mysql_flags */
	__u16 commands;
	__u32 statement;
	__u16 flags;		 /* enum sample_flags */
	__u16 local_port;	 /* host order */
	__u32 head_bytes, tail_bytes;
	__u64 received;	    /* bytes of the message so far */
	__u64 last_received; /* bytes of the last receive */
	__u64 sock, since_ns; /* with REQUEST_MYSQL: the connection, for a prepared_key */
	__u32 period_ns;      /* CPU time that the sample stands for */
	__u32 age;	      /* jiffies since the request began */
	char thread[COMM_BYTES];
};

_Static_assert(sizeof(struct event_header) == 16, "shared layout");
_Static_assert(sizeof(struct mysql_connection) == 124 + ORIGIN_BYTES + 4 + 2 * STREAM_BYTES, "shared layout");
_Static_assert(sizeof(struct prepared_statement) == 4 + STREAM_BYTES, "shared layout");
_Static_assert(sizeof(struct prepared_key) == 24, "shared layout");
_Static_assert(sizeof(struct mongo_connection) == 116 + END_BYTES + 2 * REPLY_TAIL_BYTES + 4 + 2 * STREAM_BYTES, "shared layout");
_Static_assert(sizeof(struct target) == 24, "shared layout");
_Static_assert(sizeof(struct target_rule) == 32, "shared layout");
_Static_assert(sizeof(struct clock) == 8, "shared layout");
_Static_assert(sizeof(struct process_event) == 32, "shared layout");
_Static_assert(sizeof(struct sample_event) == 104, "shared layout");

#endif
