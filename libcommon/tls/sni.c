/* Certificates by the name that the client asks for (--tls-sni-cert-key). They belong to the context that they were
 * loaded for, so that a reload takes all of them anew. Any thread. */
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/tls_internal.h"

struct named {
        X509 *cert;
        STACK_OF(X509) * chain;
        EVP_PKEY *key;
        char **names; /* strv */
        bool explicit_names;
};

struct named_list {
        size_t n;
        struct named at[KC_TLS_MAX_SNI];
};

int tls_sni_parse(const char *value, struct tls_sni_files *ret, struct kc_error *err)
{
        static const char flag[] = "for \"--tls-sni-cert-key\" flag";
        const char *colon = strchr(value, ':');
        KC_CLEANUP(kc_freep) char *pair = kc_strndup(value, colon ? (size_t)(colon - value) : strlen(value));
        KC_CLEANUP(kc_freep) char *list = colon ? kc_str_trim(colon + 1) : NULL;
        KC_CLEANUP(kc_strv_freep) char **files = kc_strv_split(pair, ',');
        if (list && !*list)
                return kc_error_set(
                    err, EINVAL, "invalid argument \"%s\" %s: empty names list is not allowed", value, flag);
        if (kc_strv_len(files) != 2)
                return kc_error_set(err, EINVAL,
                    "invalid argument \"%s\" %s: expected comma separated certificate and key file paths", value, flag);
        ret->cert_file = kc_str_trim(files[0]);
        ret->key_file = kc_str_trim(files[1]);
        KC_CLEANUP(kc_strv_freep) char **names = list ? kc_strv_split(list, ',') : NULL;
        for (size_t i = 0; names && names[i]; i++)
                kc_strv_push_take(&ret->names, kc_str_trim(names[i]));
        return 0;
}

void tls_sni_files_done(struct tls_sni_files *f)
{
        kc_free(f->cert_file);
        kc_free(f->key_file);
        kc_strv_free(f->names);
}

static void named_done(struct named *n)
{
        X509_free(n->cert);
        sk_X509_pop_free(n->chain, X509_free);
        EVP_PKEY_free(n->key);
        kc_strv_free(n->names);
}

static void free_list(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
        struct named_list *list = ptr;
        (void)parent;
        (void)ad;
        (void)idx;
        (void)argl;
        (void)argp;
        for (size_t i = 0; list && i < list->n; i++)
                named_done(&list->at[i]);
        kc_free(list);
}

static int list_index;
static pthread_once_t list_once = PTHREAD_ONCE_INIT;

static void make_index(void)
{
        list_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_list);
}

static bool load_chain(struct named *n, const char *path)
{
        BIO *bio = BIO_new_file(path, "r");
        if (!bio)
                return false;
        n->cert = PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL);
        n->chain = sk_X509_new_null();
        X509 *more;
        while (n->cert && (more = PEM_read_bio_X509(bio, NULL, kc_tls_no_password, NULL)))
                sk_X509_push(n->chain, more);
        BIO_free(bio);
        if (n->cert)
                ERR_clear_error(); /* the end of the file */
        return n->cert;
}

static bool load_key(struct named *n, const char *path)
{
        BIO *bio = BIO_new_file(path, "r");
        n->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, kc_tls_no_password, NULL) : NULL;
        BIO_free(bio);
        return n->key && X509_check_private_key(n->cert, n->key) == 1;
}

/* The common name unless it is an address, and the DNS names. */
static char **names_of(X509 *cert)
{
        char **names = NULL, cn[256];
        struct kc_ip ip;
        if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, cn, sizeof(cn)) > 0 &&
            kc_ip_parse(cn, &ip) < 0)
                kc_strv_push(&names, cn);
        GENERAL_NAMES *alt = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
                const GENERAL_NAME *g = sk_GENERAL_NAME_value(alt, i);
                if (g->type != GEN_DNS)
                        continue;
                KC_CLEANUP(kc_freep)
                char *name = kc_strndup(
                    (const char *)ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName));
                kc_strv_push(&names, name);
        }
        GENERAL_NAMES_free(alt);
        return names;
}

static const struct named *find(const struct named_list *list, const char *name, bool explicit_names)
{
        for (size_t i = 0; i < list->n; i++) {
                const struct named *n = &list->at[i];
                for (char **p = n->explicit_names == explicit_names ? n->names : NULL; p && *p; p++)
                        if (strcasecmp(*p, name) == 0)
                                return n;
        }
        return NULL;
}

/* Plain names before wildcards, explicit names before those of certificates. */
static const struct named *choose(const struct named_list *list, const char *name)
{
        const char *dot = strchr(name, '.');
        KC_CLEANUP(kc_freep) char *wildcard = dot ? kc_asprintf("*%s", dot) : NULL;
        const struct named *n = find(list, name, true);
        if (!n)
                n = find(list, name, false);
        if (!n && wildcard)
                n = find(list, wildcard, true);
        if (!n && wildcard)
                n = find(list, wildcard, false);
        return n;
}

/* Without a name in the handshake: the address that the client has connected to. */
static const char *local_address(SSL *ssl, char buf[static KC_IP_LEN])
{
        struct sockaddr_storage a = {0};
        socklen_t len = sizeof(a);
        struct kc_ip ip = {0};
        int fd = SSL_get_fd(ssl);
        if (fd < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
                return NULL;
        ip.family = a.ss_family;
        if (a.ss_family == AF_INET)
                memcpy(ip.b, &((struct sockaddr_in *)&a)->sin_addr, 4);
        else if (a.ss_family == AF_INET6)
                memcpy(ip.b, &((struct sockaddr_in6 *)&a)->sin6_addr, 16);
        else
                return NULL;
        return kc_ip_format(&ip, buf);
}

static int on_cert(SSL *ssl, void *arg)
{
        const struct named_list *list = arg;
        char address[KC_IP_LEN];
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        if (!name)
                name = local_address(ssl, address);
        const struct named *n = name ? choose(list, name) : NULL;
        return !n || SSL_use_cert_and_key(ssl, n->cert, n->key, n->chain, 1) == 1;
}

int tls_sni_load(SSL_CTX *ctx, const struct tls_sni_files *files, size_t n, struct kc_error *err)
{
        if (n == 0)
                return 0;
        pthread_once(&list_once, make_index);
        struct named_list *list = KC_NEW(struct named_list);
        SSL_CTX_set_ex_data(ctx, list_index, list);
        for (size_t i = 0; i < n; i++) {
                struct named *named = &list->at[list->n++];
                if (!load_chain(named, files[i].cert_file) || !load_key(named, files[i].key_file))
                        return kc_error_set(err, EINVAL, "failed to load SNI cert and key: %s, %s: %s",
                            files[i].cert_file, files[i].key_file, kc_tls_errors());
                named->explicit_names = files[i].names;
                named->names = files[i].names ? kc_strv_copy(files[i].names) : names_of(named->cert);
        }
        SSL_CTX_set_cert_cb(ctx, on_cert, list);
        return 0;
}
