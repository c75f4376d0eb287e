/* SPDX-License-Identifier: Apache-2.0 */
/* What each byte may begin. */
#include "sql_scan.h"

/* clang-format off */
#define B CLASS_BLANK
#define L CLASS_LETTER
#define D CLASS_DIGIT
#define Q CLASS_QUOTE
#define O CLASS_OPERATOR
#define S CLASS_SINGLE
#define X CLASS_BAD
#define L16 L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L

const uint8_t sql_class[256] = {
	X, X, X, X, X, X, X, X,  X, B, B, B, B, B, X, X,
	X, X, X, X, X, X, X, X,  X, X, X, X, X, X, X, X,
	/*   !  "  #  $  %  &  '   (  )  *  +  ,  -  .          / */
	B, O, Q, S, L, S, O, Q,  S, S, S, S, S, O, CLASS_DOT, S,
	/* 0                           :  ;  <  =  >  ? */
	D, D, D, D, D, D, D, D,  D, D, O, S, O, S, O, S,
	CLASS_AT, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L,
	/*                             [  \  ]  ^  _ */
	L, L, L, L, L, L, L, L,  L, L, L, S, X, S, S, L,
	CLASS_BACKQUOTE, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L,
	/*                             {  |  }  ~ */
	L, L, L, L, L, L, L, L,  L, L, L, S, O, S, S, X,
	L16, L16, L16, L16, L16, L16, L16, L16,
};
/* clang-format on */
