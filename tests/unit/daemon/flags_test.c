/* Flags as pflag reads them, their help, and component config files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "daemon/daemon.h"
#include "daemon/flags.h"
#include "json/json.h"

#define assert_error(err, text) assert_string_equal(kc_error_message(err), text)

struct values {
        char *config;
        bool dry, quiet;
        int port;
        int64_t big;
        double qps;
        int64_t period;
        char **servers, **gates;
};

#define TABLE(v)                                                                                                       \
        {                                                                                                              \
                {"config", 'c', KC_FLAG_STRING, &(v)->config, "the config file", "Misc"},                              \
                    {"dry-run", 0, KC_FLAG_BOOL, &(v)->dry, "change nothing", "Misc"},                                 \
                    {"quiet", 'q', KC_FLAG_BOOL, &(v)->quiet, "say nothing", "Misc"},                                  \
                    {"secure-port", 'p', KC_FLAG_INT, &(v)->port, "the port", "Serving"},                              \
                    {"max-bytes", 0, KC_FLAG_INT64, &(v)->big, "a limit", "Serving"},                                  \
                    {"kube-api-qps", 0, KC_FLAG_DOUBLE, &(v)->qps, "queries per second", "Serving"},                   \
                    {"sync-period", 0, KC_FLAG_DURATION, &(v)->period, "how often", "Serving"},                        \
                    {"etcd-servers", 0, KC_FLAG_STRV, &(v)->servers, "URLs", "Etcd"},                                  \
                    {"feature-gates", 0, KC_FLAG_MAP, &(v)->gates, "gates", "Etcd"},                                   \
                {                                                                                                      \
                        "cloud-provider", 0, KC_FLAG_IGNORED, NULL, "a cloud", "Misc"                                  \
                }                                                                                                      \
        }

static void values_done(struct values *v)
{
        kc_free(v->config);
        kc_strv_free(v->servers);
        kc_strv_free(v->gates);
}

/* Parses a command line given as one string of words. */
static int parse(const struct kc_flag *flags, size_t n, const char *line, char ***ret_args, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *full = kc_asprintf("prog %s", line);
        KC_CLEANUP(kc_strv_freep) char **argv = kc_strv_split(full, ' ');
        return kc_flags_parse(flags, n, (int)kc_strv_len(argv), argv, ret_args, err);
}

static void test_values(void **state)
{
        (void)state;
        KC_CLEANUP(values_done) struct values v = {.port = 1};
        const struct kc_flag flags[] = TABLE(&v);
        assert_int_equal(parse(flags, KC_ARRAY_LEN(flags),
                             "--config=/etc/x --dry-run --secure-port 10259 --max-bytes=5000000000 --kube-api-qps=2.5 "
                             "--sync-period=1m30s --etcd-servers=a,b --etcd-servers c --feature-gates=A=true,B=false "
                             "--cloud-provider=external",
                             NULL, NULL),
            0);
        assert_string_equal(v.config, "/etc/x");
        assert_true(v.dry);
        assert_int_equal(v.port, 10259);
        assert_int_equal(v.big, 5000000000);
        assert_true(v.qps == 2.5);
        assert_int_equal(v.period, 90 * KC_SEC);
        KC_CLEANUP(kc_freep) char *servers = kc_strv_join(v.servers, "|");
        assert_string_equal(servers, "a|b|c");
        KC_CLEANUP(kc_freep) char *gates = kc_strv_join(v.gates, "|");
        assert_string_equal(gates, "A=true|B=false");
        assert_true(kc_flags_given(flags, "secure-port"));
        assert_false(kc_flags_given(flags, "quiet"));
}

static void test_short_names_and_spellings(void **state)
{
        (void)state;
        KC_CLEANUP(values_done) struct values v = {.dry = true};
        const struct kc_flag flags[] = TABLE(&v);
        assert_int_equal(
            parse(flags, KC_ARRAY_LEN(flags), "-qp5 -c=x --dry_run=false --kube_api_qps 3", NULL, NULL), 0);
        assert_true(v.quiet);
        assert_int_equal(v.port, 5);
        assert_string_equal(v.config, "x");
        assert_false(v.dry);
        assert_int_equal(parse(flags, KC_ARRAY_LEN(flags), "-p 6 -c y", NULL, NULL), 0);
        assert_int_equal(v.port, 6);
        assert_string_equal(v.config, "y");
}

static void test_a_list_replaces_its_default(void **state)
{
        (void)state;
        KC_CLEANUP(values_done) struct values v = {0};
        kc_strv_push(&v.servers, "default");
        const struct kc_flag flags[] = TABLE(&v);
        assert_int_equal(parse(flags, KC_ARRAY_LEN(flags), "--etcd-servers=x", NULL, NULL), 0);
        assert_int_equal(kc_strv_len(v.servers), 1);
        assert_string_equal(v.servers[0], "x");
}

static void test_arguments(void **state)
{
        (void)state;
        KC_CLEANUP(values_done) struct values v = {0};
        const struct kc_flag flags[] = TABLE(&v);
        KC_CLEANUP(kc_strv_freep) char **args = NULL;
        assert_int_equal(parse(flags, KC_ARRAY_LEN(flags), "get --dry-run - -- --config", &args, NULL), 0);
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(args, "|");
        assert_string_equal(joined, "get|-|--config");
        assert_null(v.config);
}

static void test_messages(void **state)
{
        (void)state;
        static const struct {
                const char *line, *message;
        } cases[] = {
            {"--nonsense", "unknown flag: --nonsense"},
            {"--secure-prt=1", "unknown flag: --secure-prt (did you mean --secure-port?)"},
            {"-x", "unknown shorthand flag: 'x' in -x"},
            {"-qx", "unknown shorthand flag: 'x' in -qx"},
            {"--config", "flag needs an argument: --config"},
            {"-c", "flag needs an argument: 'c' in -c"},
            {"--=x", "bad flag syntax: --=x"},
            {"---x", "bad flag syntax: ---x"},
            {"--max-bytes=x",
                "invalid argument \"x\" for \"--max-bytes\" flag: strconv.ParseInt: parsing \"x\": invalid syntax"},
            {"--secure-port=99999999999", "invalid argument \"99999999999\" for \"-p, --secure-port\" flag: "
                                          "strconv.ParseInt: parsing \"99999999999\": value out of range"},
            {"--dry-run=maybe", "invalid argument \"maybe\" for \"--dry-run\" flag: strconv.ParseBool: parsing "
                                "\"maybe\": invalid syntax"},
            {"--sync-period=5", "invalid argument \"5\" for \"--sync-period\" flag: time: invalid duration \"5\""},
            {"--kube-api-qps=fast",
                "invalid argument \"fast\" for \"--kube-api-qps\" flag: strconv.ParseFloat: parsing "
                "\"fast\": invalid syntax"},
            {"--feature-gates=A", "invalid argument \"A\" for \"--feature-gates\" flag: malformed pair, expect "
                                  "string=string"},
            {"stray", "unexpected argument \"stray\""},
        };
        KC_CLEANUP(values_done) struct values v = {0};
        const struct kc_flag flags[] = TABLE(&v);
        for (size_t i = 0; i < KC_ARRAY_LEN(cases); i++) {
                struct kc_error err = KC_ERROR_INIT;
                assert_int_equal(parse(flags, KC_ARRAY_LEN(flags), cases[i].line, NULL, &err), -EINVAL);
                assert_error(&err, cases[i].message);
                kc_error_done(&err);
        }
}

static void test_help(void **state)
{
        (void)state;
        KC_CLEANUP(values_done) struct values v = {.port = 10259, .period = 10 * KC_SEC};
        kc_strv_push(&v.servers, "http://a");
        const struct kc_flag flags[] = TABLE(&v);
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        kc_flags_help(&out, "kube-x", "The x of Kubernetes.", flags, KC_ARRAY_LEN(flags));
        assert_string_equal(kc_buf_str(&out),
            "The x of Kubernetes.\n"
            "\n"
            "Usage:\n"
            "  kube-x [flags]\n"
            "\n"
            "Misc flags:\n"
            "\n"
            "  -c, --config string           the config file\n"
            "      --dry-run                 change nothing\n"
            "  -q, --quiet                   say nothing\n"
            "      --cloud-provider string   a cloud (accepted for compatibility; has no effect)\n"
            "\n"
            "Serving flags:\n"
            "\n"
            "  -p, --secure-port int        the port (default 10259)\n"
            "      --max-bytes int          a limit\n"
            "      --kube-api-qps float     queries per second\n"
            "      --sync-period duration   how often (default 10s)\n"
            "\n"
            "Etcd flags:\n"
            "\n"
            "      --etcd-servers strings            URLs (default [http://a])\n"
            "      --feature-gates mapStringString   gates\n");
}

static void test_component_config(void **state)
{
        (void)state;
        char dir[] = "/tmp/kubec-config-XXXXXX";
        assert_non_null(mkdtemp(dir));
        KC_CLEANUP(kc_freep) char *path = kc_path_join(dir, "config.yaml");
        static const char text[] =
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 7\n";
        assert_int_equal(kc_file_write_atomic(path, text, sizeof(text) - 1, 0600, NULL), 0);
        const char *const versions[] = {"kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", NULL};
        KC_CLEANUP(kc_json_freep) struct json_object *config = NULL;
        assert_int_equal(kc_component_config_load(path, versions, "KubeletConfiguration", &config, NULL), 0);
        assert_int_equal(kc_json_int(config, "maxPods", 0), 7);
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *none = NULL;
        assert_int_equal(kc_component_config_load(path, versions, "KubeProxyConfiguration", &none, &err), -EINVAL);
        KC_CLEANUP(kc_freep)
        char *message = kc_asprintf("failed to load config file %s: no kind \"KubeletConfiguration\" is registered for "
                                    "version \"kubelet.config.k8s.io/v1beta1\"",
            path);
        assert_error(&err, message);
        kc_error_done(&err);
        assert_int_equal(kc_rm_rf(dir, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_short_names_and_spellings),
            cmocka_unit_test(test_a_list_replaces_its_default),
            cmocka_unit_test(test_arguments),
            cmocka_unit_test(test_messages),
            cmocka_unit_test(test_help),
            cmocka_unit_test(test_component_config),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
