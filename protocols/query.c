/* SPDX-License-Identifier: Apache-2.0 */
/* See query.h. */
#include <string.h>
#include "query.h"

void query_batch_begin(struct query_batch *batch, enum query_verdict verdict)
{
	batch->verdict = verdict;
	batch->n_classes = batch->n_commands = 0;
	batch->cut = false;
}

struct query_class *query_batch_next(struct query_batch *batch, struct query_class *spare)
{
	return batch->n_classes < QUERY_BATCH_CLASSES ? &batch->classes[batch->n_classes] : spare;
}

static bool is_same(const struct query_class *a, const struct query_class *b)
{
	return !strcmp(a->summary, b->summary) && !strcmp(a->text, b->text) && !strcmp(a->operation, b->operation);
}

static void set_other(struct query_class *class)
{
	strcpy(class->operation, "other");
	strcpy(class->summary, "other");
	strcpy(class->text, "other");
	class->collection[0] = '\0';
}

void query_batch_add(struct query_batch *batch, const struct query_class *built)
{
	batch->n_commands++;
	for (uint32_t i = 0; i < batch->n_classes; i++)
		if (is_same(&batch->classes[i], built)) {
			batch->classes[i].count++;
			return;
		}
	if (batch->n_classes < QUERY_BATCH_CLASSES) {
		batch->classes[batch->n_classes++].count = 1;
		return;
	}
	set_other(&batch->classes[QUERY_BATCH_CLASSES - 1]);
	batch->classes[QUERY_BATCH_CLASSES - 1].count++;
}
