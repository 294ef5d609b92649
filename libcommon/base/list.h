/* Intrusive doubly-linked list, circular with a head:  head <-> a.node <-> b.node <-> head */
#pragma once

#include <stdbool.h>

#include "base/macros.h"

struct kc_list {
        struct kc_list *next, *prev;
};

static inline void kc_list_init(struct kc_list *l)
{
        l->next = l->prev = l;
}

static inline bool kc_list_empty(const struct kc_list *l)
{
        return l->next == l;
}

/* Before pos; with the head as pos: at the end. */
static inline void kc_list_insert_before(struct kc_list *pos, struct kc_list *node)
{
        node->prev = pos->prev;
        node->next = pos;
        pos->prev->next = node;
        pos->prev = node;
}

static inline void kc_list_push_back(struct kc_list *head, struct kc_list *node)
{
        kc_list_insert_before(head, node);
}

static inline void kc_list_push_front(struct kc_list *head, struct kc_list *node)
{
        kc_list_insert_before(head->next, node);
}

/* The node points to itself afterwards, so removing it twice is harmless. */
static inline void kc_list_remove(struct kc_list *node)
{
        node->prev->next = node->next;
        node->next->prev = node->prev;
        kc_list_init(node);
}

#define KC_LIST_FIRST(head, type, member) (kc_list_empty(head) ? NULL : KC_CONTAINER_OF((head)->next, type, member))
/* The loop variable may be removed (and freed) in the body. */
#define KC_LIST_FOREACH(head, var, type, member)                                                                       \
        for (type *var = KC_CONTAINER_OF((head)->next, type, member),                                                  \
                  *var##_next = KC_CONTAINER_OF(var->member.next, type, member);                                       \
             &var->member != (head); var = var##_next, var##_next = KC_CONTAINER_OF(var->member.next, type, member))
