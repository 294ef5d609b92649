/* Users by client certificates: what a certificate says of its bearer, and what the bearer of a front proxy's
 * certificate says of others. Immutable but for the bundles of CAs: any thread. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "auth/authn_internal.h"
#include "base/encode.h"
#include "base/str.h"

#define CREDENTIAL_ID "authentication.kubernetes.io/credential-id"

static int front_proxy_init(struct authn_certificates *c, const struct kc_authn_front_proxy *o,
    const struct kc_clock *clock, struct kc_error *err)
{
        if (kc_str_empty(o->client_ca_file))
                return 0;
        int r = kc_tls_verifier_new(o->client_ca_file, clock, &c->front_proxy_ca, err);
        if (r < 0)
                return kc_error_wrap(err, "unable to load --requestheader-client-ca-file");
        c->allowed_names = kc_strv_copy(o->allowed_names);
        c->username_headers = kc_strv_copy(o->username_headers);
        c->uid_headers = kc_strv_copy(o->uid_headers);
        c->group_headers = kc_strv_copy(o->group_headers);
        c->extra_prefixes = kc_strv_copy(o->extra_prefixes);
        return 0;
}

int authn_certificates_init(struct authn_certificates *c, const struct kc_authn_opts *o, struct kc_error *err)
{
        if (!kc_str_empty(o->client_ca_file)) {
                int r = kc_tls_verifier_new(o->client_ca_file, o->clock, &c->client_ca, err);
                if (r < 0)
                        return kc_error_wrap(err, "unable to load --client-ca-file");
        }
        return front_proxy_init(c, &o->front_proxy, o->clock, err);
}

void authn_certificates_done(struct authn_certificates *c)
{
        char **const lists[] = {
            c->allowed_names, c->username_headers, c->uid_headers, c->group_headers, c->extra_prefixes};
        kc_tls_verifier_free(c->client_ca);
        kc_tls_verifier_free(c->front_proxy_ca);
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++)
                kc_strv_free(lists[i]);
}

int authn_certificate(
    const struct authn_certificates *c, const struct kc_tls_peer *p, struct kc_user **ret, struct kc_error *err)
{
        if (!c->client_ca || !p)
                return 0;
        int r = kc_tls_verifier_check(c->client_ca, p, err);
        if (r < 0)
                return kc_error_wrap(err, "verifying certificate SHA256=%s failed", p->fingerprint);
        if (kc_str_empty(p->common_name))
                return 0;
        if (kc_strv_len(p->uids) > 1)
                return kc_error_set(err, EINVAL, "expected 1 UID, but found multiple: %zu", kc_strv_len(p->uids));
        struct kc_user *u = kc_user_new(p->common_name, p->uids ? p->uids[0] : NULL, p->organizations);
        KC_CLEANUP(kc_freep) char *id = kc_asprintf("X509SHA256=%s", p->fingerprint);
        kc_user_add_extra(u, CREDENTIAL_ID, id);
        *ret = u;
        return 1;
}

/* --- front proxy */

/* The first header of these names that says something; NULL: none. */
static const char *header_of(const struct kc_authn_request *req, char *const *names)
{
        const char *name, *value;
        for (; names && *names; names++)
                for (size_t i = 0; req->header_at && req->header_at(req->arg, i, &name, &value); i++)
                        if (strcasecmp(name, *names) == 0) {
                                if (*value)
                                        return value;
                                break; /* the first one of a name counts */
                        }
        return NULL;
}

static void add_extra(struct kc_user *u, const char *escaped_key, const char *value)
{
        char *key = NULL;
        if (kc_url_unescape(escaped_key, strlen(escaped_key), false, &key) < 0)
                key = kc_strdup(escaped_key);
        kc_user_add_extra(u, key, value);
        kc_free(key);
}

static void add_groups_and_extra(
    const struct authn_certificates *c, const struct kc_authn_request *req, struct kc_user *u)
{
        const char *name, *value;
        for (char *const *want = c->group_headers; want && *want; want++)
                for (size_t i = 0; req->header_at(req->arg, i, &name, &value); i++)
                        if (strcasecmp(name, *want) == 0 && *value)
                                kc_user_add_group(u, value);
        for (char *const *prefix = c->extra_prefixes; prefix && *prefix; prefix++)
                for (size_t i = 0; req->header_at(req->arg, i, &name, &value); i++)
                        if (strncasecmp(name, *prefix, strlen(*prefix)) == 0)
                                add_extra(u, name + strlen(*prefix), value);
}

int authn_front_proxy(
    const struct authn_certificates *c, const struct kc_authn_request *req, struct kc_user **ret, struct kc_error *err)
{
        if (!c->front_proxy_ca || !req->peer)
                return 0;
        int r = kc_tls_verifier_check(c->front_proxy_ca, req->peer, err);
        if (r < 0)
                return kc_error_wrap(err, "verifying certificate SHA256=%s failed", req->peer->fingerprint);
        if (kc_strv_len(c->allowed_names) > 0 && !kc_strv_has(c->allowed_names, req->peer->common_name))
                return kc_error_set(
                    err, EACCES, "x509: subject with cn=%s is not in the allowed list", req->peer->common_name);
        const char *name = header_of(req, c->username_headers);
        if (!name)
                return 0;
        struct kc_user *u = kc_user_new(name, header_of(req, c->uid_headers), NULL);
        add_groups_and_extra(c, req, u);
        *ret = u;
        return 1;
}
