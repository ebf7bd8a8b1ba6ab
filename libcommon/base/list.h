/* SPDX-License-Identifier: Apache-2.0 */
/* An intrusive, circular, doubly linked list: the link lies inside the member. */
#ifndef CORRAL_BASE_LIST_H
#define CORRAL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * Visit each member in order; the member at hand may be removed. `it` and `nx` are struct list *.
 */
#define LIST_EACH(it, nx, head)                                                                    \
	for ((it) = (head)->next; (nx) = (it)->next, (it) != (head); (it) = (nx))

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void
list_insert_before(struct list *at, struct list *l)
{
	l->next = at;
	l->prev = at->prev;
	at->prev->next = l;
	at->prev = l;
}

static inline void
list_append(struct list *head, struct list *l)
{
	list_insert_before(head, l);
}

/* Remove l; it is then a list of its own, so that a second removal is harmless. */
static inline void
list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	list_init(l);
}

static inline struct list *
list_first(struct list *head)
{
	return list_empty(head) ? NULL : head->next;
}

#endif
