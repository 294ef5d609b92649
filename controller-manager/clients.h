/* --use-service-account-credentials: each controller works as a service account of its own in kube-system, whose rights
 * are the default role system:controller:<account>; only the informers are the controller manager's. */
#pragma once

#include "client/rest.h"

struct kc_cm_clients;

/* kubeconfig: where the server is. root: makes the accounts and asks for their tokens; outlives the clients. */
int kc_cm_clients_new(struct kc_rest *root, const char *kubeconfig, struct kc_cm_clients **ret, struct kc_error *err);
/* The client of a controller by the name that --controllers takes; a controller without an account of its own has the
 * root. Borrowed. On the loop. */
struct kc_rest *kc_cm_clients_get(struct kc_cm_clients *c, const char *controller);
/* Calls under way and later ones fail with -ECANCELED. On the loop or after it has stopped; NULL is fine. */
void kc_cm_clients_close(struct kc_cm_clients *c);
/* When no worker runs any more. */
void kc_cm_clients_free(struct kc_cm_clients *c);
