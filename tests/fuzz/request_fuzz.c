/* What a request says before anything is done with it: its path, its query, and the headers that choose the form of the
 * answer. The first byte chooses the method; then come lines: target, Accept, User-Agent, Content-Type. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/schema.h"
#include "base/str.h"
#include "http/http_internal.h"
#include "server/delete_options.h"
#include "server/list_options.h"
#include "server/patch.h"
#include "server/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
        if (!ok)
                abort();
}

/* An error has what an answer needs. */
static void check_error(int r, struct kc_error *err)
{
        if (r < 0)
                check(err->code >= 400 && err->code <= 500 && err->message);
        kc_error_done(err);
}

static const struct kc_resource *find_row(const struct req_info *i)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        for (size_t g = 0; i->is_resource && g < n; g++)
                for (size_t k = 0; k < gvs[g]->n_resources; k++) {
                        const struct kc_resource *row = &gvs[g]->resources[k];
                        if (kc_streq(row->group, i->group) && kc_streq(row->version, i->version) &&
                            kc_streq(row->resource, i->resource))
                                return row;
                }
        return NULL;
}

static void check_info(const struct req_info *i)
{
        const char *const strings[] = {
            i->path, i->verb, i->group, i->version, i->ns, i->resource, i->subresource, i->name};
        for (size_t k = 0; k < KC_ARRAY_LEN(strings); k++)
                check(strings[k] != NULL);
        if (!i->is_resource)
                return;
        check(i->version[0] != '\0' || strstr(i->path, "//"));
        check(!i->subresource[0] || i->name[0] || strstr(i->path, "//"));
}

static void read_options(struct api_req *q)
{
        struct kc_error err = KC_ERROR_INIT;
        for (int watch = 0; watch < 2; watch++) {
                struct list_options lo;
                int r = list_options_parse(q, watch == 1, &lo, &err);
                if (r == 0) {
                        check(lo.limit >= 0 && lo.watch_revision >= -1 && lo.read.revision >= 0);
                        list_options_done(&lo);
                }
                check_error(r, &err);
        }
        struct delete_options d;
        int r = delete_options_parse(q, &d, &err);
        if (r == 0)
                delete_options_done(&d);
        check_error(r, &err);
}

static void write_options(struct api_req *q)
{
        static const char *const kinds[] = {"CreateOptions", "UpdateOptions", "PatchOptions"};
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++) {
                struct kc_error err = KC_ERROR_INIT;
                struct write_options w;
                int r = write_options_parse(q, kinds[i], &w, &err);
                if (r == 0) {
                        check(w.manager && kc_json_str(w.options, "kind"));
                        write_options_done(&w);
                }
                check_error(r, &err);
        }
}

static void try_names(const struct req_info *i, const char *path)
{
        char *scheme, *name, *port;
        if (proxy_split_name(i->name, &scheme, &name, &port)) {
                check(scheme && name && port);
                kc_free(scheme);
                kc_free(name);
                kc_free(port);
        }
        KC_CLEANUP(kc_freep) char *rest = proxy_path(path, 7);
        check(rest && (rest[0] == '\0' || rest[0] == '/') && !strstr(rest, "/../"));
}

static void try_request(struct kc_http_req *http, const char *method)
{
        struct api_req q = {.http = http};
        struct kc_error err = KC_ERROR_INIT;
        bool good = req_info_parse(method, kc_http_req_path(http), kc_http_req_query(http), &q.info) == 0;
        check(q.info.path != NULL);
        if (good) {
                check_info(&q.info);
                try_names(&q.info, kc_http_req_path(http));
                q.row = find_row(&q.info);
                check_error(media_negotiate(&q, &err), &err);
                (void)media_of_status(&q);
                (void)media_accepts_as(
                    kc_http_req_header(http, "accept"), "apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList");
                if (q.row) {
                        read_options(&q);
                        write_options(&q);
                }
        }
        req_info_done(&q.info);
}

static const char *next_line(char **at)
{
        return *at ? strsep(at, "\n") : "";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "odd"};
        static const char *const names[] = {"Accept", "User-Agent", "Content-Type"};
        if (size < 2 || memchr(data, 0, size))
                return 0;
        KC_CLEANUP(kc_freep) char *text = kc_strndup((const char *)data + 1, size - 1);
        char *at = text;
        struct kc_http_server server = {.opts = {.max_header_bytes = 1 << 20}};
        struct http_conn conn = {.server = &server};
        struct kc_http_req http = {.conn = &conn};
        http_req_add_text(&http, "", 0);
        const char *target = next_line(&at);
        if (http_req_set_target(&http, target, strlen(target))) {
                for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                        const char *value = next_line(&at);
                        http_req_add_field(&http, names[i], strlen(names[i]), value, strlen(value));
                }
                http_req_finish_headers(&http);
                try_request(&http, methods[data[0] % KC_ARRAY_LEN(methods)]);
        }
        kc_free(http.fields);
        kc_buf_done(&http.text);
        return 0;
}
