/* What the apiserver's storage reads without a tree: stored values (stamped, entries made of them) and continue tokens.
 * The first byte chooses. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "storage/cache_internal.h"
#include "storage/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_token(const char *data, size_t len)
{
        KC_CLEANUP(kc_freep) char *token = kc_strndup(data, len);
        struct list_token t;
        if (list_token_decode(token, "/registry/pods/", &t, NULL) < 0)
                return;
        /* What was read is written again and means the same. */
        KC_CLEANUP(kc_freep) char *again = list_token_encode(t.from_key, "/registry/pods/", t.revision);
        struct list_token u;
        assert(list_token_decode(again, "/registry/pods/", &u, NULL) == 0);
        assert(t.revision == u.revision);
        kc_free(t.from_key);
        kc_free(u.from_key);
}

static void try_entry(const char *data, size_t len)
{
        static const struct kc_cache_field names[] = {{.name = "spec.nodeName"},
            {.name = "source", .path = "source.component", .fallback = "reportingComponent"}};
        struct cache_fields *fields = cache_fields_new(names, KC_ARRAY_LEN(names));
        struct kc_cache_entry *e;
        if (cache_entry_new("/registry/pods/ns/name", 15, true, fields, data, len, 12345, &e, NULL) == 0) {
                struct kc_cache_entry *gone = cache_entry_restamp(e, 1);
                assert(kc_bytes_len(kc_cache_entry_bytes(gone)) + 4 == kc_bytes_len(kc_cache_entry_bytes(e)));
                assert(strcmp(kc_cache_entry_name(gone), "name") == 0);
                kc_cache_entry_unref(e);
                kc_cache_entry_unref(gone);
        }
        cache_fields_unref(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        /* An exact copy, so that the sanitizer sees a read past the end. */
        KC_CLEANUP(kc_freep) char *copy = size > 1 ? kc_memdup(data + 1, size - 1) : kc_strdup("");
        if (data[0] == 't')
                try_token(copy, size - 1);
        else
                try_entry(copy, size - 1);
        return 0;
}
