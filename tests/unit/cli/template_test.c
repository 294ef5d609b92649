/* Go templates, as -o go-template has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/mem.h"
#include "cli/template/template.h"

static const char data[] = "{'name':'web','n':1000000,'half':0.5,'on':true,'none':null,'list':[1,2,3],"
                           "'map':{'b':'y','a':'x'},'pods':[{'name':'p1'},{'name':'p2'}]}";

static char *render(const char *text)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_template_freep) struct kc_template *t = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *o = kc_json_build(data);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (kc_template_parse("t", text, &t, &err) < 0 || kc_template_run(t, o, &b, &err) < 0)
                return kc_strdup(kc_error_message(&err));
        return kc_buf_take_str(&b);
}

static void renders(void **state)
{
        (void)state;
        static const char *const rows[][2] = {
            {"{{.name}} {{.n}} {{.half}} {{.on}} {{.none}} {{.nope.x}}", "web 1e+06 0.5 true <no value> <no value>"},
            {"{{.list}} {{.map}}", "[1 2 3] map[a:x b:y]"},
            {"{{range .pods}}{{.name}},{{else}}none{{end}}", "p1,p2,"},
            {"{{range $i, $p := .pods}}{{if $i}} {{end}}{{$i}}={{$p.name}}{{end}}", "0=p1 1=p2"},
            {"{{range $k, $v := .map}}{{$k}}{{$v}}{{end}}", "axby"},
            {"{{range .list}}{{if eq . 2.0}}{{continue}}{{end}}{{.}}{{if gt . 2.0}}{{break}}{{end}}{{end}}", "13"},
            {"{{with .nope}}a{{else with .name}}b{{.}}{{end}}", "bweb"},
            {"a {{- /* c */ -}} b{{- .name -}} c", "abwebc"},
            {"{{$x := 1}}{{$x = 2}}{{$x}}{{len .list}}{{index .pods 1 \"name\"}}", "23p2"},
            {"{{.name | printf \"%5s|%-5s|%q\" \"a\" \"b\"}}", "    a|b    |\"web\""},
            {"{{printf \"%d %03d %v %s\" 5 7 .list .n}}", "5 007 [1 2 3] %!s(float64=1e+06)"},
            {"{{and 1 0}}{{or 0 \"x\"}}{{not 0}}{{(index .pods 0).name}}", "0xtruep1"},
            {"{{define \"T\"}}<{{.}}>{{end}}{{template \"T\" .name}}", "<web>"},
            {"{{print 1 2 \"a\" \"b\" 3}}", "1 2ab3"},
            {"{{index .list 9}}", "template: t:1:2: executing \"t\" at <index .list 9>: error calling index: index out "
                                  "of range: 9"},
            {"x\n{{.name.y}}",
                "template: t:2:7: executing \"t\" at <.name.y>: can't evaluate field y in type interface {}"},
            {"{{.name", "template: t:1: unclosed action"},
            {"{{if .name}}", "template: t:1: unexpected EOF"},
            {"{{end}}", "template: t:1: unexpected {{end}}"},
            {"{{$y}}", "template: t:1: undefined variable \"$y\""},
            {"{{nope}}", "template: t:1: function \"nope\" not defined"},
            {"{{eq .n 1}}", "template: t:1:2: executing \"t\" at <eq .n 1>: error calling eq: incompatible types for "
                            "comparison"},
            {"{{\"\\", "template: t:1: unterminated quoted string"},
            {"{{printf \"%99999999d\" 1}}", "%!(BADWIDTH)1"},
            {"{{break}}", "template: t:1: {{break}} outside {{range}}"},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                KC_CLEANUP(kc_freep) char *got = render(rows[i][0]);
                assert_string_equal(got, rows[i][1]);
        }
}

static void templates_end(void **state)
{
        (void)state;
        KC_CLEANUP(kc_freep) char *deep = render("{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}");
        assert_non_null(strstr(deep, "exceeded maximum template depth (100)"));
        struct kc_buf b = KC_BUF_INIT;
        for (int i = 0; i < 1000; i++)
                kc_buf_adds(&b, "{{((((((((");
        KC_CLEANUP(kc_freep) char *nested = render(kc_buf_str(&b));
        assert_non_null(strstr(nested, "template: t:1: "));
        kc_buf_done(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(renders), cmocka_unit_test(templates_end)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
