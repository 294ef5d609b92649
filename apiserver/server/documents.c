/* Discovery and OpenAPI documents, made once each. Any thread that may take a few milliseconds. */
#include "server/documents.h"

#include <pthread.h>
#include <string.h>

#include "api/discovery.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

struct documents {
        char *server_address;
        pthread_mutex_t lock;
        struct kc_map *made; /* guarded by lock; "<form> <path>" -> document */
};

static void document_free(void *p)
{
        struct document *d = p;
        kc_bytes_unref(d->bytes);
        kc_free(d->etag);
        kc_free(d);
}

struct documents *documents_new(const char *server_address)
{
        struct documents *d = KC_NEW(struct documents);
        d->server_address = kc_strdup(server_address);
        pthread_mutex_init(&d->lock, NULL);
        d->made = kc_map_new(document_free);
        return d;
}

void documents_free(struct documents *d)
{
        if (!d)
                return;
        kc_map_free(d->made);
        pthread_mutex_destroy(&d->lock);
        kc_free(d->server_address);
        kc_free(d);
}

static bool write_tree(struct json_object *take_tree, struct kc_buf *out)
{
        if (!take_tree)
                return false;
        kc_json_write(out, take_tree);
        kc_buf_addc(out, '\n');
        kc_json_free(take_tree);
        return true;
}

/* "/apis/<group>" and "/apis/<group>/<version>"; the core group's version is below "/api". */
static bool write_group(const char *path, struct kc_buf *out)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(path + 1, '/');
        size_t n = kc_strv_len(parts);
        if (n == 2 && strcmp(parts[0], "api") == 0)
                return write_tree(kc_discovery_resources("", parts[1]), out);
        if (n == 2 && strcmp(parts[0], "apis") == 0)
                return write_tree(kc_discovery_group(parts[1]), out);
        if (n == 3 && strcmp(parts[0], "apis") == 0)
                return write_tree(kc_discovery_resources(parts[1], parts[2]), out);
        return false;
}

static bool write_document(const struct documents *d, const char *path, enum document_form form, struct kc_buf *out)
{
        static const char openapi_v3[] = "/openapi/v3/";
        bool core = strcmp(path, "/api") == 0;
        if (core || strcmp(path, "/apis") == 0) {
                if (form == DOCUMENT_AGGREGATED)
                        return write_tree(kc_discovery_aggregated(core), out);
                return write_tree(core ? kc_discovery_api_versions(d->server_address) : kc_discovery_group_list(), out);
        }
        if (strcmp(path, "/openapi/v2") == 0) {
                if (form == DOCUMENT_PROTO)
                        kc_openapi_v2_write_proto(out);
                else
                        kc_openapi_v2_write(out);
                return true;
        }
        if (strcmp(path, "/openapi/v3") == 0)
                return write_tree(kc_openapi_v3_index(), out);
        if (kc_str_has_prefix(path, openapi_v3))
                return kc_openapi_v3_write(path + strlen(openapi_v3), out) == 0;
        return write_group(path, out);
}

static struct document *make(const struct documents *d, const char *path, enum document_form form)
{
        struct kc_buf out = KC_BUF_INIT;
        if (!write_document(d, path, form, &out)) {
                kc_buf_done(&out);
                return NULL;
        }
        char hash[KC_OPENAPI_HASH_LEN];
        struct document *made = KC_NEW(struct document);
        made->etag = kc_strdup(kc_openapi_hash(out.data, out.len, hash));
        made->bytes = kc_bytes_from_buf(&out);
        return made;
}

const struct document *documents_get(struct documents *d, const char *path, enum document_form form)
{
        KC_CLEANUP(kc_freep) char *key = kc_asprintf("%d %s", (int)form, path);
        pthread_mutex_lock(&d->lock);
        struct document *found = kc_map_get(d->made, key);
        if (!found) {
                found = make(d, path, form);
                if (found)
                        (void)kc_map_set(d->made, key, found);
        }
        pthread_mutex_unlock(&d->lock);
        return found;
}
