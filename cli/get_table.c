/* kubec get as a table: the server's, or one of names and ages. Main thread. */
#include <string.h>

#include "api/object.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/get_internal.h"
#include "cli/requests.h"

const char *kc_get_accept(bool table)
{
        return table && kc_get_opt.server_print ? KC_ACCEPT_TABLE : "application/json";
}

void kc_tables_init(struct kc_tables *t, const struct kc_get_plan *p)
{
        *t = (struct kc_tables){.options = {.wide = kc_streq(p->output, "wide"),
                                    .no_headers = kc_get_opt.no_headers,
                                    .show_labels = kc_get_opt.show_labels,
                                    .label_columns = kc_get_opt.label_columns}};
        kc_tabwriter_init(&t->writer, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
}

void kc_tables_done(struct kc_tables *t)
{
        kc_tabwriter_done(&t->writer);
        kc_json_free(t->columns);
        kc_free(t->kind);
}

void kc_tables_flush(struct kc_cli *c, struct kc_tables *t)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_tabwriter_flush(&t->writer, &b);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
        t->written = t->written || b.len > 0;
}

void kc_tables_switch(struct kc_cli *c, struct kc_tables *t, const struct kc_api_resource *res, bool with_kind)
{
        if (t->last == res)
                return;
        kc_tables_flush(c, t);
        kc_tabwriter_forget(&t->writer);
        kc_json_free(t->columns);
        t->columns = NULL;
        t->last = res;
        kc_free(t->kind);
        t->kind = kc_api_resource_name(res);
        t->options.with_kind = with_kind ? t->kind : NULL;
        t->options.with_namespace = kc_get_opt.all_namespaces && res->namespaced;
}

/* --- without the server's columns */

static void add_plain_row(struct json_object *rows, const struct json_object *object)
{
        char buf[KC_TIME_LEN];
        kc_time created = kc_meta_creation_time(object);
        struct json_object *row = kc_json_build("{'cells':[%s,%s]}", kc_meta_name(object) ? kc_meta_name(object) : "",
            created ? kc_duration_human(kc_clock_now(NULL) - created, buf) : "<unknown>");
        kc_json_set(row, "object", kc_json_copy(object));
        kc_json_push(rows, row);
}

static struct json_object *plain_table(const struct json_object *answer)
{
        struct json_object *table = kc_json_build(
            "{'kind':'Table','columnDefinitions':[{'name':'Name','format':'name'},{'name':'Age'}],'rows':[]}");
        const struct json_object *items = kc_json_get(answer, "items");
        struct json_object *rows = kc_json_get_mut(table, "rows");
        for (size_t i = 0; i < kc_json_len(items); i++)
                add_plain_row(rows, kc_json_idx(items, i));
        if (!kc_json_is_arr(items))
                add_plain_row(rows, answer);
        kc_json_set(table, "metadata", kc_json_copy(kc_json_get(answer, "metadata")));
        return table;
}

static bool is_table(const struct json_object *answer)
{
        return kc_streq(kc_json_str(answer, "kind"), "Table");
}

void kc_tables_add(struct kc_cli *c, struct kc_tables *t, const struct json_object *answer, const char *event)
{
        KC_CLEANUP(kc_json_freep) struct json_object *plain = is_table(answer) ? NULL : plain_table(answer);
        const struct json_object *table = plain ? plain : answer;
        if (!t->columns && t->written && !kc_get_opt.no_headers && kc_json_len(kc_json_get(table, "rows")) > 0)
                (void)fputc('\n', c->out);
        kc_table_add(&t->writer, table, &t->options, &t->columns, event);
}

/* --- requests */

static char *page_path(const struct kc_wanted *w, const char *next)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        bool sorted = !kc_str_empty(kc_get_opt.sort_by);
        KC_CLEANUP(kc_freep) char *limit = kc_asprintf("%lld", (long long)kc_get_opt.chunk_size);
        if (w->name)
                return kc_cli_path(w->res, w->ns, w->name, kc_get_opt.subresource, NULL);
        kc_get_add_selectors(&q);
        /* What is sorted must be there whole, with the objects. */
        if (sorted && kc_get_opt.server_print)
                kc_query_add(&q, "includeObject", "Object");
        else if (!sorted && kc_get_opt.chunk_size > 0)
                kc_query_add(&q, "limit", limit);
        kc_query_add(&q, "continue", next);
        return kc_cli_path(w->res, w->ns, NULL, NULL, kc_buf_str(&q));
}

/* A path that cannot be followed leaves the order as it is, as by kubectl. */
static void sort_rows(struct json_object *answer)
{
        KC_CLEANUP(kc_error_done) struct kc_error ignored = KC_ERROR_INIT;
        if (is_table(answer))
                (void)kc_sort_by(kc_json_get_mut(answer, "rows"), kc_get_opt.sort_by, true, &ignored);
        else if (kc_json_is_arr(kc_json_get(answer, "items")))
                (void)kc_sort_by(kc_json_get_mut(answer, "items"), kc_get_opt.sort_by, false, &ignored);
}

int kc_tables_fetch(struct kc_cli *c, const struct kc_wanted *w, struct kc_tables *t, char **ret_version,
    const char *event, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *next = NULL;
        do {
                KC_CLEANUP(kc_freep) char *path = page_path(w, next);
                KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
                int e = kc_cli_fetch(c, path, kc_get_accept(true), &answer, err);
                if (e < 0)
                        return w->name ? e : kc_get_list_failed(w->res, err);
                if (!kc_str_empty(kc_get_opt.sort_by) && !w->name)
                        sort_rows(answer);
                kc_tables_add(c, t, answer, event);
                if (ret_version)
                        kc_str_set(ret_version, kc_json_str_at(answer, "metadata.resourceVersion"));
                kc_str_set(&next, w->name ? NULL : kc_json_str_at(answer, "metadata.continue"));
                if (!kc_str_empty(next)) {
                        kc_tables_flush(c, t);
                        if (fflush(c->out) != 0)
                                return kc_cli_write_failed(c);
                }
        } while (!kc_str_empty(next));
        return 0;
}

static int say_nothing_found(struct kc_cli *c, bool namespaced, struct kc_error *err)
{
        const char *ns = NULL;
        int e = kc_cli_namespace(c, &ns, err);
        if (e < 0)
                return e;
        if (namespaced)
                (void)fprintf(c->err, "No resources found in %s namespace.\n", ns);
        else
                (void)fprintf(c->err, "No resources found\n");
        return 0;
}

int kc_get_print_tables(struct kc_cli *c, const struct kc_get_plan *p, struct kc_error *err)
{
        KC_CLEANUP(kc_tables_done) struct kc_tables t;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors failures = {0};
        bool namespaced = !kc_get_opt.all_namespaces;
        bool with_kind = kc_get_opt.show_kind || kc_get_several_resources(p);
        kc_tables_init(&t, p);
        for (size_t i = 0; i < p->n; i++) {
                struct kc_error why = KC_ERROR_INIT;
                namespaced = namespaced && p->v[i].res->namespaced;
                kc_tables_switch(c, &t, p->v[i].res, with_kind);
                int e = kc_tables_fetch(c, &p->v[i], &t, NULL, NULL, &why);
                if (e == KC_CLI_FAILED)
                        return e;
                if (e < 0)
                        kc_get_note_failure(&failures, &why);
        }
        kc_tables_flush(c, &t);
        int e = 0;
        if (!t.written && !kc_get_opt.ignore_not_found && failures.n == 0)
                e = say_nothing_found(c, namespaced, err);
        if (e < 0)
                return e;
        kc_manifests_errors(&p->manifests, &failures);
        return kc_cli_errors_report(c, &failures) ? KC_CLI_FAILED : 0;
}
