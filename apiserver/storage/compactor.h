/* Compacts the store's history every interval, as upstream's apiserver does (--etcd-compaction-interval): up to the
 * revision that was current one interval ago, so that at least that much history stays. Several apiservers agree by a
 * key in the registry: one of them compacts. */
#pragma once

#include "storage/store.h"

struct kc_compactor;
/* prefix: "/registry". Runs on the store's loop; interval_ms 0 is not allowed (the flag's 0 means: make none). */
struct kc_compactor *kc_compactor_new(struct kc_store *s, const char *prefix, int64_t interval_ms);
/* Any thread but the loop's, while the loop runs: waits for a compaction under way. */
void kc_compactor_free(struct kc_compactor *c);
KC_DEFINE_CLEANUP(struct kc_compactor *, kc_compactor_free)
