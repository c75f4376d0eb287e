/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause */
/* Numbers of the MySQL protocol that the kernel side needs, too: nothing but constants. */
#ifndef WIREPROF_MYSQL_WIRE_H
#define WIREPROF_MYSQL_WIRE_H

#define MYSQL_HEADER_BYTES    4	 /* of a packet: length 3, sequence 1 */
#define MYSQL_FRAME_BYTES     7	 /* of a frame of the compressed protocol: length 3, sequence 1, inflated length 3 */
#define MYSQL_HANDSHAKE_BYTES 32 /* of a handshake response, in front of the user's name */
#define MYSQL_LONGEST_PACKET  0xffffff

/* Capabilities (MySQL, "Capabilities Flags"). */
#define CLIENT_CONNECT_WITH_DB	 (1u << 3)
#define CLIENT_COMPRESS		 (1u << 5)
#define CLIENT_PROTOCOL_41	 (1u << 9)
#define CLIENT_SSL		 (1u << 11)
#define CLIENT_SECURE_CONNECTION (1u << 15)
#define CLIENT_LENENC_AUTH	 (1u << 21) /* CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA */
#define CLIENT_ZSTD		 (1u << 26) /* CLIENT_ZSTD_COMPRESSION_ALGORITHM */

/* First bytes of commands (MySQL, "Command Phase"; MariaDB, "0xfa COM_STMT_BULK_EXECUTE"). */
enum mysql_command {
	COM_QUIT = 1,
	COM_INIT_DB,
	COM_QUERY,
	COM_FIELD_LIST,
	COM_CREATE_DB,
	COM_DROP_DB,
	COM_REFRESH,
	COM_SHUTDOWN,
	COM_STATISTICS,
	COM_PROCESS_INFO,
	COM_PROCESS_KILL = 0x0c,
	COM_DEBUG,
	COM_PING,
	COM_CHANGE_USER = 0x11,
	COM_BINLOG_DUMP,
	COM_TABLE_DUMP,
	COM_REGISTER_SLAVE = 0x15,
	COM_STMT_PREPARE,
	COM_STMT_EXECUTE,
	COM_STMT_SEND_LONG_DATA,
	COM_STMT_CLOSE,
	COM_STMT_RESET,
	COM_SET_OPTION,
	COM_STMT_FETCH,
	COM_BINLOG_DUMP_GTID = 0x1e,
	COM_RESET_CONNECTION,
	COM_STMT_BULK_EXECUTE = 0xfa,
	COM_CONNECT = 0xfe, /* not on the wire: the handshake response */
	COM_OPAQUE = 0xff,  /* not on the wire: its packet is compressed */
};

#endif
