/* What every controller of pods needs to hear: which owner the change of a pod or of an owner concerns. Handlers on the
 * loop enqueue keys of owners and observe expectations; orphans go to the owners whose selector matches. */
#pragma once

#include "api/selector.h"
#include "client/informer.h"
#include "client/workqueue.h"

struct kc_owned_pods {
        const struct kc_gvr *gvr; /* of the owners */
        struct kc_informer *owners, *pods;
        struct kc_controller *controller;
        struct kc_expectations *expectations; /* NULL: none */
        bool plain_selector;                  /* spec.selector is a map of labels */
};

/* Adds the handlers and the indexes of children.h. Once, in init; w lives as long as the informers. */
void kc_owned_pods_init(struct kc_owned_pods *w);
/* The selector of an owner. */
int kc_owned_pods_selector(
    const struct kc_owned_pods *w, const struct json_object *owner, struct kc_selector **ret, struct kc_error *err);
/* Any thread: the owner that controls the child, if it is of our kind and still the same; with a reference. */
struct kc_object *kc_owned_pods_owner(const struct kc_owned_pods *w, const struct json_object *child);
void kc_owned_pods_enqueue(const struct kc_owned_pods *w, const struct json_object *owner);
