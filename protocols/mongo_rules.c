/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is shown of a command, by where it stands: filters, updates, pipelines, and the fields of commands.
 *
 * A rule says how a document is shown (which of its fields mean what, and what the others are), how an array is, and how
 * anything else is. A string is shown only under SCALAR_NAME, SCALAR_KEY and SCALAR_PATH: what is not known is a value.
 */
#include <string.h>
#include "mongo_internal.h"

#define F(name, mode, rank)	  {name, sizeof(name) - 1, mode, rank, false}
#define NONEMPTY(name, mode, rank) {name, sizeof(name) - 1, mode, rank, true}
#define OTHER(name, mode)	  F(name, mode, MONGO_RANK_OTHER)
#define OUT(name)		  OTHER(name, MODE_LEFT_OUT)
#define FIELDS(table)		  (table), sizeof(table) / sizeof(*(table))

/* Options of any command, that its class does not depend on. */
#define COMMON_FIELDS                                                                                                      \
	OUT("$db"), OUT("lsid"), OUT("$clusterTime"), OUT("$configTime"), OUT("$topologyTime"), OUT("$configServerState"), \
		OUT("$readPreference"), OUT("$queryOptions"), OUT("$replData"), OUT("$oplogQueryData"), OUT("$audit"),     \
		OUT("$client"), OUT("$tenant"), OUT("$traceCtx"), OUT("$comment"), OUT("txnNumber"), OUT("txnRetryCounter"), OUT("autocommit"),    \
		OUT("startTransaction"), OUT("stmtId"), OUT("stmtIds"), OUT("readConcern"), OUT("writeConcern"),           \
		OUT("maxTimeMS"), OUT("maxTimeMSOpOnly"), OUT("comment"), OUT("apiVersion"), OUT("apiStrict"),             \
		OUT("apiDeprecationErrors"), OUT("shardVersion"), OUT("databaseVersion"), OUT("clientOperationKey"),       \
		OUT("mayBypassWriteBlocking"), OUT("expectPrefix")

static const struct mongo_field flat_fields[] = {COMMON_FIELDS};

static const struct mongo_field command_fields[] = {
	NONEMPTY("filter", MODE_FILTER, 2),
	NONEMPTY("query", MODE_FILTER, 2),
	F("documents", MODE_ROWS, 3),
	F("updates", MODE_STATEMENTS, 3),
	F("deletes", MODE_STATEMENTS, 3),
	F("ops", MODE_OPERATIONS, 3),
	F("pipeline", MODE_PIPELINE, 3),
	F("indexes", MODE_INDEXES, 3),
	F("update", MODE_PIPELINE, 3),
	NONEMPTY("projection", MODE_VALUE, 4),
	NONEMPTY("fields", MODE_VALUE, 4),
	NONEMPTY("sort", MODE_SPEC, 5),
	F("skip", MODE_HIDDEN, 6),
	F("limit", MODE_HIDDEN, 7),
	OTHER("hint", MODE_SPEC),
	OTHER("index", MODE_VALUE),
	OTHER("min", MODE_VALUE),
	OTHER("max", MODE_VALUE),
	OTHER("let", MODE_VALUE),
	OTHER("collation", MODE_VALUE),
	OTHER("arrayFilters", MODE_FILTER),
	OTHER("validator", MODE_FILTER),
	OTHER("upsert", MODE_TRUE),
	OTHER("remove", MODE_TRUE),
	OTHER("new", MODE_TRUE),
	OUT("ordered"),
	OUT("batchSize"),
	OUT("cursor"),
	OUT("bypassDocumentValidation"),
	OUT("singleBatch"),
	OUT("allowDiskUse"),
	OUT("noCursorTimeout"),
	OUT("tailable"),
	OUT("awaitData"),
	OUT("oplogReplay"),
	OUT("exhaust"),
	OUT("allowPartialResults"),
	OUT("returnKey"),
	OUT("showRecordId"),
	OUT("isTimeseriesNamespace"),
	OUT("errorsOnly"),
	OUT("term"),
	COMMON_FIELDS,
};

static const struct mongo_field value_fields[] = {
	OTHER("$sort", MODE_SPEC), /* of $push */
};

static const struct mongo_field filter_fields[] = {
	OTHER("$and", MODE_FILTER), OTHER("$or", MODE_FILTER),	OTHER("$nor", MODE_FILTER),
	OTHER("$expr", MODE_EXPRESSION), OUT("$comment"),
};

static const struct mongo_field expression_fields[] = {
	OTHER("$literal", MODE_VALUE),
	OTHER("sortBy", MODE_SPEC),
};

/* Stages whose strings are expressions or other collections. Of others, such as $search, strings are values. */
static const struct mongo_field stage_fields[] = {
	OTHER("$match", MODE_FILTER),
	OTHER("$sort", MODE_SPEC),
	OTHER("$group", MODE_EXPRESSION),
	OTHER("$project", MODE_EXPRESSION),
	OTHER("$set", MODE_EXPRESSION),
	OTHER("$addFields", MODE_EXPRESSION),
	OTHER("$unset", MODE_EXPRESSION),
	OTHER("$unwind", MODE_EXPRESSION),
	OTHER("$replaceRoot", MODE_EXPRESSION),
	OTHER("$replaceWith", MODE_EXPRESSION),
	OTHER("$redact", MODE_EXPRESSION),
	OTHER("$bucket", MODE_EXPRESSION),
	OTHER("$bucketAuto", MODE_EXPRESSION),
	OTHER("$sortByCount", MODE_EXPRESSION),
	OTHER("$setWindowFields", MODE_EXPRESSION),
	OTHER("$densify", MODE_EXPRESSION),
	OTHER("$fill", MODE_EXPRESSION),
	OTHER("$documents", MODE_EXPRESSION),
	OTHER("$facet", MODE_FACETS),
	OTHER("$lookup", MODE_JOIN),
	OTHER("$graphLookup", MODE_JOIN),
	OTHER("$unionWith", MODE_TARGET),
	OTHER("$out", MODE_TARGET),
	OTHER("$merge", MODE_TARGET),
	OTHER("$geoNear", MODE_JOIN),
};

static const struct mongo_field join_fields[] = {
	OTHER("from", MODE_NAME),
	OTHER("into", MODE_NAME),
	OTHER("coll", MODE_NAME),
	OTHER("db", MODE_NAME),
	OTHER("pipeline", MODE_PIPELINE),
	OTHER("whenMatched", MODE_PIPELINE),
	OTHER("let", MODE_EXPRESSION),
	OTHER("startWith", MODE_EXPRESSION),
	NONEMPTY("query", MODE_FILTER, MONGO_RANK_OTHER),
	OTHER("restrictSearchWithMatch", MODE_FILTER),
};

static const struct mongo_field name_fields[] = {
	OTHER("coll", MODE_NAME),
	OTHER("db", MODE_NAME),
};

static const struct mongo_field statement_fields[] = {
	F("q", MODE_FILTER, 0),
	F("u", MODE_PIPELINE, 1),
	F("limit", MODE_HIDDEN, 2),
	OTHER("c", MODE_VALUE),
	OTHER("sort", MODE_SPEC),
	OTHER("hint", MODE_SPEC),
	OTHER("collation", MODE_VALUE),
	OTHER("arrayFilters", MODE_FILTER),
	OTHER("multi", MODE_TRUE),
	OTHER("upsert", MODE_TRUE),
	OUT("sampleId"),
	OUT("upsertSupplied"),
};

static const struct mongo_field operation_fields[] = {
	F("insert", MODE_HIDDEN, 0),
	F("update", MODE_HIDDEN, 0),
	F("delete", MODE_HIDDEN, 0),
	F("filter", MODE_FILTER, 1),
	F("updateMods", MODE_PIPELINE, 2),
	F("document", MODE_HIDDEN, 2),
	OTHER("constants", MODE_VALUE),
	OTHER("sort", MODE_SPEC),
	OTHER("hint", MODE_SPEC),
	OTHER("collation", MODE_VALUE),
	OTHER("arrayFilters", MODE_FILTER),
	OTHER("multi", MODE_TRUE),
	OTHER("upsert", MODE_TRUE),
};

static const struct mongo_field namespace_fields[] = {
	OTHER("ns", MODE_NAME),
};

static const struct mongo_field index_fields[] = {
	F("key", MODE_SPEC, 0),
	OTHER("partialFilterExpression", MODE_FILTER),
	OTHER("wildcardProjection", MODE_VALUE),
	OTHER("collation", MODE_VALUE),
};

#define PLAIN MODE_VALUE, MODE_VALUE, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN

/* MODE_HIDDEN, _LEFT_OUT, _TRUE and _ROWS are shown without a look at their rule. */
const struct mongo_rule mongo_rules[MONGO_MODES] = {
	[MODE_VALUE] = {FIELDS(value_fields), PLAIN},
	[MODE_NAME] = {FIELDS(name_fields), MODE_VALUE, MODE_VALUE, ORDER_SORTED, ORDER_SORTED, SCALAR_NAME},
	[MODE_KEY] = {NULL, 0, MODE_VALUE, MODE_VALUE, ORDER_SORTED, ORDER_SORTED, SCALAR_KEY},
	[MODE_FILTER] = {FIELDS(filter_fields), MODE_VALUE, MODE_FILTER, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_EXPRESSION] = {FIELDS(expression_fields), MODE_EXPRESSION, MODE_EXPRESSION, ORDER_SORTED, ORDER_COLLAPSE,
			     SCALAR_PATH},
	[MODE_SPEC] = {NULL, 0, MODE_SPEC, MODE_VALUE, ORDER_ONCE, ORDER_SORTED, SCALAR_SIGN},
	[MODE_PIPELINE] = {FIELDS(value_fields), MODE_VALUE, MODE_STAGE, ORDER_SORTED, ORDER_SENT, SCALAR_HIDDEN},
	[MODE_STAGE] = {FIELDS(stage_fields), PLAIN},
	[MODE_JOIN] = {FIELDS(join_fields), PLAIN},
	[MODE_TARGET] = {FIELDS(join_fields), MODE_VALUE, MODE_VALUE, ORDER_SORTED, ORDER_SORTED, SCALAR_NAME},
	[MODE_FACETS] = {NULL, 0, MODE_PIPELINE, MODE_VALUE, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_STATEMENTS] = {NULL, 0, MODE_VALUE, MODE_STATEMENT, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_STATEMENT] = {FIELDS(statement_fields), MODE_HIDDEN, MODE_HIDDEN, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_OPERATIONS] = {NULL, 0, MODE_VALUE, MODE_OPERATION, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_OPERATION] = {FIELDS(operation_fields), MODE_HIDDEN, MODE_HIDDEN, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_NAMESPACES] = {NULL, 0, MODE_VALUE, MODE_NAMESPACE, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_NAMESPACE] = {FIELDS(namespace_fields), MODE_HIDDEN, MODE_HIDDEN, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_INDEXES] = {NULL, 0, MODE_VALUE, MODE_INDEX, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_INDEX] = {FIELDS(index_fields), MODE_HIDDEN, MODE_HIDDEN, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_COMMAND] = {FIELDS(command_fields), MODE_HIDDEN, MODE_HIDDEN, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
	[MODE_FLAT] = {FIELDS(flat_fields), MODE_HIDDEN, MODE_HIDDEN, ORDER_SORTED, ORDER_SORTED, SCALAR_HIDDEN},
};

const struct mongo_field *mongo_find_field(enum mongo_mode mode, struct slice key)
{
	const struct mongo_rule *rule = &mongo_rules[mode];

	for (size_t i = 0; i < rule->n_fields; i++)
		if (rule->fields[i].len == key.len && !memcmp(rule->fields[i].name, key.ptr, key.len))
			return &rule->fields[i];
	return NULL;
}
