/* Flags of HTTPS. Main thread. */
#include "daemon/tls_flags.h"

#include "base/mem.h"
#include "base/str.h"

void kc_tls_flags_apply(const struct kc_tls_flags *f, struct kc_tls_server_opts *o)
{
        o->min_version = f->min_version;
        o->cipher_suites = f->cipher_suites;
        o->curve_preferences = f->curve_preferences;
        o->sni_cert_keys = f->sni_cert_keys;
}

void kc_tls_flags_done(struct kc_tls_flags *f)
{
        kc_free(f->min_version);
        kc_strv_free(f->cipher_suites);
        kc_strv_free(f->curve_preferences);
        kc_strv_free(f->sni_cert_keys);
        *f = (struct kc_tls_flags){0};
}
