/* The order of authorizers in use, and who replaces it when the configuration file changes.
 *
 *   chains --current--> chain { specs, a webhook for some } <--refs-- questions under way
 *      loop (a thread of its own): the webhooks' connections, the file's watch */
#pragma once

#include "auth/authz_webhook.h"

struct authz_chain {
        struct authz_specs specs;
        struct authz_webhook **webhooks; /* one for each spec; NULL: not a webhook */
        size_t n_webhooks;
        int refs; /* atomic */
};

struct authz_chains;

/* config_file (NULL: from the flags, take_specs, for ever) is followed. */
int authz_chains_new(
    struct authz_specs *take_specs, const char *config_file, struct authz_chains **ret, struct kc_error *err);
/* The current one; any thread. */
struct authz_chain *authz_chains_get(struct authz_chains *c);
void authz_chains_put(struct authz_chains *c, struct authz_chain *chain);
/* Questions to webhooks fail from now on, those under way, too. Any thread but the loop's. */
void authz_chains_close(struct authz_chains *c);
/* Nobody asks any more. */
void authz_chains_free(struct authz_chains *c);
/* The file as specs. */
int authz_chains_read(const char *file, struct kc_buf *ret_text, struct authz_specs *ret, struct kc_error *err);
