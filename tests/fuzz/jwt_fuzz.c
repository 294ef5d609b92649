/* Tokens. 't' and a text: a token as a client sends it. 's' and a text: claims that we sign, which have to come back.
 * 'h' with a header, a newline and claims: a token whose signature is right, so that what follows the check is reached.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/mem.h"
#include "base/str.h"
#include "tls/jwt_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgv+U+X5mcE4u/SIBK\n"
                              "PeMLuYLPW5FNYQl/NFY/iZZostOhRANCAARVrfeX0pmnq9kGJCDFA7Zle5kXN9RN\n"
                              "G8QlouoI54/2ZO2e3EG+lhGYpipEVShRCFXS3gH/ustliUPufDi4vdBK\n"
                              "-----END PRIVATE KEY-----\n";

static struct kc_jwt_key **keys;
static size_t n_keys;

static void load_keys(void)
{
        char path[64];
        int fd = memfd_create("key", MFD_CLOEXEC);
        assert(fd >= 0 && write(fd, key_pem, strlen(key_pem)) == (ssize_t)strlen(key_pem));
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        assert(kc_jwt_keys_load(path, &keys, &n_keys, NULL) == 0 && n_keys == 1);
        close(fd);
}

static int verify(const char *token, char **ret)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_jwt_verify(keys, n_keys, token, ret, &err);
        assert(r == 0 ? *ret != NULL : (r == -EACCES || r == -EINVAL) && err.message);
        return r;
}

static void try_token(const char *text)
{
        KC_CLEANUP(kc_freep) char *claims = NULL;
        (void)verify(text, &claims); /* checked there */
}

static void try_claims(const char *text)
{
        KC_CLEANUP(kc_freep) char *token = NULL, *claims = NULL;
        assert(kc_jwt_sign(keys[0], text, &token, NULL) == 0);
        if (*text && strlen(token) <= 32 * 1024)
                assert(verify(token, &claims) == 0 && strcmp(claims, text) == 0);
}

/* The same signature as kc_jwt_sign makes, under any header. */
static void try_header(char *text)
{
        char *claims = strchr(text, '\n');
        if (!claims)
                return;
        *claims++ = '\0';
        KC_CLEANUP(kc_freep) char *token = NULL;
        assert(kc_jwt_sign(keys[0], claims, &token, NULL) == 0);
        KC_CLEANUP(kc_freep) char *header = kc_base64url_encode(text, strlen(text));
        KC_CLEANUP(kc_freep) char *whole = kc_asprintf("%s%s", header, strchr(token, '.'));
        try_token(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (!keys)
                load_keys();
        if (size < 1 || memchr(data + 1, 0, size - 1))
                return 0;
        KC_CLEANUP(kc_freep) char *text = kc_strndup((const char *)data + 1, size - 1);
        if (data[0] == 's')
                try_claims(text);
        else if (data[0] == 'h')
                try_header(text);
        else
                try_token(text);
        return 0;
}
