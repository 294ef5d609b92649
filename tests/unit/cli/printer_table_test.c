/* Tables: layout to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/printer.h"

static struct json_object *pods_table(void)
{
        return kc_json_build("{'kind':'Table','columnDefinitions':["
                             "{'name':'Name','type':'string','format':'name','priority':0},"
                             "{'name':'Ready','type':'string','format':'','priority':0},"
                             "{'name':'Restarts','type':'integer','format':'','priority':0},"
                             "{'name':'Node','type':'string','format':'','priority':1}],"
                             "'rows':["
                             "{'cells':['web-1','1/1',0,'n1'],'object':{'metadata':{'name':'web-1','namespace':'a',"
                             "'labels':{'app':'web','a':'b'}}}},"
                             "{'cells':['a-very-long-name','0/1',12,'n2'],'object':{'metadata':{'name':"
                             "'a-very-long-name','namespace':'kube-system'}}}]}");
}

static void expect(const struct kc_table_options *o, const char *text)
{
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *table = pods_table();
        KC_CLEANUP(kc_json_freep) struct json_object *columns = NULL;
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        kc_table_add(&w, table, o, &columns, NULL);
        kc_tabwriter_flush(&w, &b);
        assert_string_equal(kc_buf_str(&b), text);
}

static void test_columns_are_three_apart(void **state)
{
        (void)state;
        expect(&(struct kc_table_options){0}, "NAME               READY   RESTARTS\n"
                                              "web-1              1/1     0\n"
                                              "a-very-long-name   0/1     12\n");
}

static void test_wide_shows_every_column(void **state)
{
        (void)state;
        expect(&(struct kc_table_options){.wide = true}, "NAME               READY   RESTARTS   NODE\n"
                                                         "web-1              1/1     0          n1\n"
                                                         "a-very-long-name   0/1     12         n2\n");
}

static void test_namespaces_kinds_and_labels(void **state)
{
        (void)state;
        expect(&(struct kc_table_options){.with_namespace = true, .with_kind = "pod", .show_labels = true},
            "NAMESPACE     NAME                   READY   RESTARTS   LABELS\n"
            "a             pod/web-1              1/1     0          a=b,app=web\n"
            "kube-system   pod/a-very-long-name   0/1     12         <none>\n");
}

static void test_label_columns_without_headers(void **state)
{
        (void)state;
        char app[] = "app";
        char *labels[] = {app, NULL};
        expect(&(struct kc_table_options){.no_headers = true, .label_columns = labels},
            "web-1              1/1   0     web\n"
            "a-very-long-name   0/1   12    \n");
}

static void test_text_is_cut_at_a_line_break(void **state)
{
        (void)state;
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *columns = NULL;
        KC_CLEANUP(kc_json_freep)
        struct json_object *table = kc_json_build(
            "{'columnDefinitions':[{'name':'Name','priority':0},{'name':'Message','priority':0},"
            "{'name':'Ok','priority':0}],'rows':[{'cells':['x','one\\ntwo',true]},{'cells':['y',null,false]}]}");
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        kc_table_add(&w, table, &(struct kc_table_options){0}, &columns, NULL);
        kc_tabwriter_flush(&w, &b);
        assert_string_equal(kc_buf_str(&b), "NAME   MESSAGE   OK\n"
                                            "x      one...    true\n"
                                            "y                false\n");
}

static void test_a_watch_keeps_the_widths(void **state)
{
        (void)state;
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *columns = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *table = pods_table();
        KC_CLEANUP(kc_json_freep)
        struct json_object *event =
            kc_json_build("{'kind':'Table','columnDefinitions':null,'rows':[{'cells':['b','1/1',3,'n']}]}");
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        kc_table_add(&w, table, &(struct kc_table_options){0}, &columns, NULL);
        kc_tabwriter_flush(&w, &b);
        kc_buf_reset(&b);
        kc_table_add(&w, event, &(struct kc_table_options){0}, &columns, NULL);
        kc_tabwriter_flush(&w, &b);
        assert_string_equal(kc_buf_str(&b), "b                  1/1     3\n");
}

static void test_an_empty_table_has_no_headers(void **state)
{
        (void)state;
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *columns = NULL;
        KC_CLEANUP(kc_json_freep)
        struct json_object *empty = kc_json_build("{'columnDefinitions':[{'name':'Name','priority':0}],'rows':[]}");
        KC_CLEANUP(kc_json_freep)
        struct json_object *later =
            kc_json_build("{'columnDefinitions':[{'name':'Name','priority':0}],'rows':[{'cells':['x']}]}");
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        kc_table_add(&w, empty, &(struct kc_table_options){0}, &columns, NULL);
        kc_tabwriter_flush(&w, &b);
        assert_string_equal(kc_buf_str(&b), "");
        kc_table_add(&w, later, &(struct kc_table_options){0}, &columns, "ADDED");
        kc_tabwriter_flush(&w, &b);
        assert_string_equal(kc_buf_str(&b), "EVENT      NAME\nADDED      x\n");
}

static void test_runes_count_as_one(void **state)
{
        (void)state;
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_tabwriter_init(&w, 0, 2);
        kc_tabwriter_cell(&w, "äöü");
        kc_tabwriter_cell(&w, "x");
        kc_tabwriter_end_row(&w);
        kc_tabwriter_cell(&w, "abcd");
        kc_tabwriter_cell(&w, "y");
        kc_tabwriter_end_row(&w);
        kc_tabwriter_flush(&w, &b);
        assert_string_equal(kc_buf_str(&b), "äöü   x\nabcd  y\n");
}

static void test_json_is_sorted_and_escaped(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build("{'kind':'Pod','apiVersion':'v1','metadata':{'name':'<a>&'}}");
        kc_print_json(&b, o);
        assert_string_equal(kc_buf_str(&b), "{\n"
                                            "    \"apiVersion\": \"v1\",\n"
                                            "    \"kind\": \"Pod\",\n"
                                            "    \"metadata\": {\n"
                                            "        \"name\": \"\\u003ca\\u003e\\u0026\"\n"
                                            "    }\n"
                                            "}\n");
}

static void test_a_list_around_objects(void **state)
{
        (void)state;
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep)
        struct json_object *o =
            kc_list_of(kc_json_build("[{'kind':'Pod','metadata':{'name':'a','managedFields':[{'manager':'x'}]}}]"));
        kc_strip_managed_fields(o);
        kc_print_yaml(&b, o);
        assert_string_equal(kc_buf_str(&b), "apiVersion: v1\n"
                                            "items:\n"
                                            "- kind: Pod\n"
                                            "  metadata:\n"
                                            "    name: a\n"
                                            "kind: List\n"
                                            "metadata:\n"
                                            "  resourceVersion: \"\"\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_columns_are_three_apart),
            cmocka_unit_test(test_wide_shows_every_column),
            cmocka_unit_test(test_namespaces_kinds_and_labels),
            cmocka_unit_test(test_label_columns_without_headers),
            cmocka_unit_test(test_text_is_cut_at_a_line_break),
            cmocka_unit_test(test_a_watch_keeps_the_widths),
            cmocka_unit_test(test_an_empty_table_has_no_headers),
            cmocka_unit_test(test_runes_count_as_one),
            cmocka_unit_test(test_json_is_sorted_and_escaped),
            cmocka_unit_test(test_a_list_around_objects),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
