/* The kubelet: all its parts, wired. main.c makes one, runs the loop, and frees it. */
#pragma once

#include "kubelet/config.h"

struct kc_kubelet;

/* --hostname-override or the hostname, in lower case. Heap. */
char *kc_kubelet_node_name(const struct kc_kubelet_config *c);
/* Connects nothing yet. config must outlive it. */
int kc_kubelet_new(
    struct kc_loop *loop, const struct kc_kubelet_config *config, struct kc_kubelet **ret, struct kc_error *err);
/* On the loop, or before it runs: starts everything. */
int kc_kubelet_start(struct kc_kubelet *k, struct kc_error *err);
/* On the loop: no new work. Containers go on running. */
void kc_kubelet_stop(struct kc_kubelet *k);
/* When the loop has stopped. */
/* It has ended its loop because its client certificate has expired. */
bool kc_kubelet_credentials_expired(const struct kc_kubelet *k);
void kc_kubelet_free(struct kc_kubelet *k);
KC_DEFINE_CLEANUP(struct kc_kubelet *, kc_kubelet_free)
