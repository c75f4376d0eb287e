/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what pushes to Pyroscope hold, for tests; cmocka's assertions have to be there already. */
#ifndef WIREPROF_TESTS_PUSH_BODY_H
#define WIREPROF_TESTS_PUSH_BODY_H

#include "profile.pb-c.h"
#include "push.pb-c.h"

#include <stdlib.h>
#include <zlib.h>

#define PLAIN_MAX (4u << 20) /* of a profile, as the server has it */

typedef Perftools__Profiles__Profile Decoded;

static inline Decoded *unzip(const ProtobufCBinaryData *raw, size_t *plain_bytes)
{
	uint8_t *plain = malloc(PLAIN_MAX);
	z_stream zip = {.next_in = raw->data,
			.avail_in = (uInt)raw->len,
			.next_out = plain,
			.avail_out = PLAIN_MAX};
	Decoded *d;

	assert_int_equal(inflateInit2(&zip, 15 + 16), Z_OK);
	assert_int_equal(inflate(&zip, Z_FINISH), Z_STREAM_END);
	assert_int_equal(zip.avail_in, 0);
	*plain_bytes = zip.total_out;
	inflateEnd(&zip);
	d = perftools__profiles__profile__unpack(NULL, *plain_bytes, plain);
	free(plain);
	assert_non_null(d);
	return d;
}

#endif
