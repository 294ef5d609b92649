/* Command lines, and errors as users see them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "cli/commands.h"

/* Of the last run. */
static struct {
        char *args, *value, *out, *err;
        bool flag;
        int code;
} seen;

static char *value;
static bool flag;
static const struct kc_flag flags[] = {
    {"value", 'o', KC_FLAG_STRING, &value, "a value", "Test"},
    {"flag", 'w', KC_FLAG_BOOL, &flag, "a flag", "Test"},
    {"dry-run", 0, KC_FLAG_STRING, &value, "a flag whose value may be left out", "Test"},
};

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        (void)c;
        (void)err;
        kc_free(seen.args);
        seen.args = args[0] ? kc_strv_join(args, " ") : kc_strdup("");
        kc_str_set(&seen.value, value);
        seen.flag = flag;
        return 0;
}

static int run_failing(struct kc_cli *c, char **args, struct kc_error *err)
{
        (void)c;
        (void)args;
        return kc_error_set_api(err, 404, KC_REASON_NOT_FOUND, "pods \"x\" not found");
}

static const struct kc_command subs[] = {{"status", "group status", "A subcommand", flags, KC_ARRAY_LEN(flags), run}};
static const struct kc_command get = {"get", "get", "A command", flags, KC_ARRAY_LEN(flags), run};
static const struct kc_command failing = {"fail", "fail", "A failing command", NULL, 0, run_failing};
static const struct kc_command group = {"group", .summary = "A group", .subs = subs, .n_subs = 1};
static const struct kc_command *const commands[] = {&get, &failing, &group};

static void call(const char *line)
{
        struct kc_cli c;
        size_t len;
        KC_CLEANUP(kc_strv_freep) char **argv = kc_strv_split(line, ' ');
        free(seen.out);
        free(seen.err);
        kc_free(value);
        value = NULL;
        flag = false;
        kc_cli_init(&c);
        c.out = open_memstream(&seen.out, &len);
        c.err = open_memstream(&seen.err, &len);
        seen.code = kc_cli_main(&c, commands, KC_ARRAY_LEN(commands), (int)kc_strv_len(argv), argv);
        (void)fclose(c.out);
        (void)fclose(c.err);
        kc_cli_done(&c);
}

static int forget(void **state)
{
        (void)state;
        kc_free(seen.args);
        kc_free(seen.value);
        free(seen.out);
        free(seen.err);
        kc_free(value);
        return 0;
}

static void test_flags_stand_anywhere(void **state)
{
        (void)state;
        call("kubec -n x --kubeconfig f get pods -o json a -w");
        assert_int_equal(seen.code, 0);
        assert_string_equal(seen.args, "pods a");
        assert_string_equal(seen.value, "json");
        assert_true(seen.flag);
        call("kubec get -ojson -- -w");
        assert_string_equal(seen.args, "-w");
        assert_string_equal(seen.value, "json");
        assert_false(seen.flag);
}

static void test_subcommands(void **state)
{
        (void)state;
        call("kubec group -n x status deploy/a");
        assert_int_equal(seen.code, 0);
        assert_string_equal(seen.args, "deploy/a");
        call("kubec group nope");
        assert_int_equal(seen.code, 1);
        assert_string_equal(seen.err, "error: unknown command \"nope\"\nSee 'kubec group -h' for help and examples\n");
}

static void test_a_flag_without_its_value(void **state)
{
        (void)state;
        call("kubec get --dry-run pods");
        assert_string_equal(seen.value, "unchanged");
        assert_string_equal(seen.args, "pods");
}

static void test_errors_exit_with_1(void **state)
{
        (void)state;
        call("kubec fail");
        assert_int_equal(seen.code, 1);
        assert_string_equal(seen.err, "Error from server (NotFound): pods \"x\" not found\n");
        call("kubec get --foo");
        assert_int_equal(seen.code, 1);
        assert_string_equal(seen.err, "error: unknown flag: --foo\nSee 'kubec get --help' for usage.\n");
        call("kubec nope");
        assert_int_equal(seen.code, 1);
        assert_string_equal(seen.err, "error: unknown command \"nope\" for \"kubec\"\n");
}

static void test_help(void **state)
{
        (void)state;
        call("kubec");
        assert_int_equal(seen.code, 0);
        assert_non_null(strstr(seen.out, "  get             A command\n"));
        call("kubec get -h");
        assert_int_equal(seen.code, 0);
        assert_non_null(strstr(seen.out, "--value"));
}

static void test_commands_are_complete(void **state)
{
        (void)state;
        size_t n;
        const struct kc_command *const *v = kc_cli_commands(&n);
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        for (size_t i = 0; i < n; i++) {
                assert_false(kc_strv_has(names, v[i]->name));
                kc_strv_push(&names, v[i]->name);
                assert_non_null(v[i]->summary);
                assert_true(v[i]->run || v[i]->n_subs > 0);
        }
        assert_true(kc_strv_has(names, "get"));
}

/* --- error texts */

static void test_one_invalid_field(void **state)
{
        (void)state;
        struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set_api(&err, 422, KC_REASON_INVALID, "Pod \"a\" is invalid: x");
        struct kc_error_details *d = kc_error_details(&err);
        kc_str_set(&d->kind, "Pod");
        kc_str_set(&d->name, "a");
        kc_error_add_cause(&err, "FieldValueRequired", "spec.x", "Required value");
        KC_CLEANUP(kc_freep) char *one = kc_cli_error_text(NULL, &err);
        assert_string_equal(one, "The Pod \"a\" is invalid: spec.x: Required value");
        kc_error_add_cause(&err, "FieldValueRequired", "spec.y", "Required value");
        KC_CLEANUP(kc_freep) char *two = kc_cli_error_text(NULL, &err);
        assert_string_equal(two, "The Pod \"a\" is invalid: \n* spec.x: Required value\n* spec.y: Required value");
        kc_error_done(&err);
}

static void test_several_errors(void **state)
{
        (void)state;
        struct kc_cli c;
        size_t len;
        char *text = NULL;
        KC_CLEANUP(kc_cli_errors_done) struct kc_cli_errors errors = {0};
        struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set(&err, 22, "the path is wrong");
        kc_cli_errors_take(&errors, &err);
        (void)kc_error_set_api(&err, 404, KC_REASON_NOT_FOUND, "pods \"a\" not found");
        kc_cli_errors_take(&errors, &err);
        kc_cli_init(&c);
        c.err = open_memstream(&text, &len);
        assert_true(kc_cli_errors_report(&c, &errors));
        (void)fclose(c.err);
        kc_cli_done(&c);
        assert_string_equal(text, "the path is wrong\nError from server (NotFound): pods \"a\" not found\n");
        free(text);
        KC_CLEANUP(kc_freep) char *joined = kc_cli_errors_join(&errors);
        assert_string_equal(joined, "[the path is wrong, pods \"a\" not found]");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_flags_stand_anywhere),
            cmocka_unit_test(test_subcommands),
            cmocka_unit_test(test_a_flag_without_its_value),
            cmocka_unit_test(test_errors_exit_with_1),
            cmocka_unit_test(test_help),
            cmocka_unit_test(test_commands_are_complete),
            cmocka_unit_test(test_one_invalid_field),
            cmocka_unit_test(test_several_errors),
        };
        return cmocka_run_group_tests(tests, NULL, forget);
}
