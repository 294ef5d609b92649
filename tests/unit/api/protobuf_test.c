/* Protobuf bodies: what clients send, hostile input, and what is written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/protobuf.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/str.h"

#define CORE "io.k8s.api.core.v1."
#define META "io.k8s.apimachinery.pkg.apis.meta.v1."

/* Hex digits as bytes; blanks and what is in () are left out. */
static struct kc_buf unhex(const char *hex)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_adds(&b, "");
        for (const char *p = hex; *p;) {
                if (*p == '(') {
                        p = strchr(p, ')') + 1;
                        continue;
                }
                if (*p == ' ') {
                        p++;
                        continue;
                }
                char digits[3] = {p[0], p[1], 0};
                kc_buf_addc(&b, (char)strtoul(digits, NULL, 16));
                p += 2;
        }
        return b;
}

static const struct kc_type *type_of(const char *name)
{
        const struct kc_type *t = kc_schema_type(name);
        if (!t)
                fail_msg("no type %s", name);
        return t;
}

static void expect_tree(struct json_object *o, const char *expected)
{
        char *want = kc_str_replace_all(expected, "'", "\""), *got = kc_json_to_str(o);
        assert_string_equal(got, want);
        kc_free(want);
        kc_free(got);
}

/* The message alone, before kc_codec_decode(). */
static void expect(const char *type, const char *hex, const char *expected)
{
        struct kc_buf in = unhex(hex);
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = NULL;
        if (kc_protobuf_decode(in.data, in.len, type_of(type), &o, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        expect_tree(o, expected);
        kc_json_free(o);
        kc_buf_done(&in);
}

static void expect_error(const char *type, const char *hex, const char *message)
{
        struct kc_buf in = unhex(hex);
        /* Exactly as long as the input, for the sanitizer to see what lies behind. */
        char *exact = kc_memdup(in.data, in.len);
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = NULL;
        int r = kc_protobuf_decode(exact, in.len, type_of(type), &o, &err);
        assert_int_equal(r, -EINVAL);
        assert_null(o);
        assert_int_equal(err.code, 400);
        assert_string_equal(err.reason, KC_REASON_BAD_REQUEST);
        assert_string_equal(kc_error_message(&err), message);
        kc_error_done(&err);
        kc_free(exact);
        kc_buf_done(&in);
}

/* --- what kubectl 1.33 sends */

/* kubectl create namespace web */
static const char create_namespace[] =
    "6b387300 0a0f 0a027631 12094e616d657370616365"
    "121b 0a13 0a03776562 1200 1a00 2200 2a00 3200 3800 4200 1200 1a02 0a00 1a00 2200";

/* kubectl create deployment d --image=nginx */
static const char create_deployment[] =
    "6b3873000a150a07617070732f7631120a4465706c6f796d656e7412a3010a1b0a016412001a0022002a003200380042005a080a0361707012"
    "01"
    "6412760801120a0a080a036170701201641a5e0a1a0a0012001a0022002a003200380042005a080a03617070120164124012220a056e67696e"
    "78"
    "12056e67696e782a0042006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c20100220"
    "20a00280038001a0c0800100018002000280038001a002200";

/* What came as a body, normalized; and the same bytes back. */
static void expect_body(const char *type, const char *hex, const char *expected)
{
        struct kc_buf in = unhex(hex), out = KC_BUF_INIT;
        char *api_version = NULL, *kind = NULL;
        const char *raw;
        size_t len;
        struct json_object *o = NULL;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_protobuf_unwrap(in.data, in.len, &api_version, &kind, &raw, &len, &err) < 0 ||
            kc_protobuf_decode(raw, len, type_of(type), &o, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        kc_json_set_str(o, "kind", kind);
        kc_json_set_str(o, "apiVersion", api_version);
        assert_int_equal(kc_codec_decode(o, type_of(type), NULL, NULL), 0);
        expect_tree(o, expected);
        assert_int_equal(kc_protobuf_write(o, type_of(type), &out, NULL), 0);
        assert_int_equal(out.len, in.len);
        assert_memory_equal(out.data, in.data, in.len);
        kc_json_free(o);
        kc_free(api_version);
        kc_free(kind);
        kc_buf_done(&in);
        kc_buf_done(&out);
}

static void test_kubectl(void **state)
{
        (void)state;
        expect_body(CORE "Namespace", create_namespace,
            "{'kind':'Namespace','apiVersion':'v1','metadata':{'name':'web'},'spec':{},'status':{}}");
        expect_body("io.k8s.api.apps.v1.Deployment", create_deployment,
            "{'kind':'Deployment','apiVersion':'apps/v1','metadata':{'name':'d','labels':{'app':'d'}},"
            "'spec':{'replicas':1,'selector':{'matchLabels':{'app':'d'}},'template':{'metadata':{'labels':{'app':'d'}},"
            "'spec':{'containers':[{'name':'nginx','image':'nginx','resources':{}}]}},'strategy':{}},'status':{}}");
        expect_body("io.k8s.api.authorization.v1.SelfSubjectAccessReview",
            "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a656374416363657373526576"
            "69"
            "6577123c0a100a0012001a0022002a00320038004200121e0a1c0a0764656661756c7412036765741a0022002a04706f647332003a"
            "00"
            "1a08080012001a0020001a002200",
            "{'kind':'SelfSubjectAccessReview','apiVersion':'authorization.k8s.io/v1','metadata':{},'spec':{"
            "'resourceAttributes':{'namespace':'default','verb':'get','resource':'pods'}},'status':{'allowed':false}}");
}

/* Before kc_codec_decode(): every zero value is there. */
static void test_zero_values(void **state)
{
        (void)state;
        expect(CORE "Namespace", "0a10 0a00 1200 1a00 2200 2a00 3200 3800 4200 1200 1a02 0a00",
            "{'metadata':{'name':'','generateName':'','namespace':'','selfLink':'','uid':'','resourceVersion':'',"
            "'generation':0,'creationTimestamp':null},'spec':{},'status':{'phase':''}}");
}

static void test_delete_options(void **state)
{
        (void)state;
        expect(META "DeleteOptions", "0800 12060a0475312d31 2207 4f727068616e31 2a03416c6c 3001",
            "{'gracePeriodSeconds':0,'preconditions':{'uid':'u1-1'},'propagationPolicy':'Orphan1',"
            "'dryRun':['All'],'ignoreStoreReadErrorWithClusterBreakingPotential':true}");
        expect(META "DeleteOptions", "", "{}");
}

/* --- kinds of values */

static void test_numbers(void **state)
{
        (void)state;
        expect(META "DeleteOptions", "08ffffffffffffffffff01", "{'gracePeriodSeconds':-1}");
        expect(META "DeleteOptions", "08ffffffffffffffff7f", "{'gracePeriodSeconds':9223372036854775807}");
        /* int32: the upper half is dropped, as Go does. */
        expect(CORE "ContainerPort", "18ffffffffffffffffff01", "{'containerPort':-1}");
        expect(CORE "ContainerPort", "1881808080 10", "{'containerPort':1}");
        expect(CORE "ContainerPort", "1850 1851", "{'containerPort':81}"); /* the last one counts */
}

static void test_repeated_numbers(void **state)
{
        (void)state;
        /* supplementalGroups is field 4 of PodSecurityContext: one by one, packed, and mixed. */
        expect(CORE "PodSecurityContext", "2001 20ac02", "{'supplementalGroups':[1,300]}");
        expect(CORE "PodSecurityContext", "2203 01ac02", "{'supplementalGroups':[1,300]}");
        expect(CORE "PodSecurityContext", "2005 2202 0102 2006", "{'supplementalGroups':[5,1,2,6]}");
        expect(CORE "PodSecurityContext", "2200", "{'supplementalGroups':[]}");
        expect_error(CORE "PodSecurityContext", "2201 ac", "unexpected EOF");
}

static void test_int_or_string(void **state)
{
        (void)state;
        expect(CORE "TCPSocketAction", "0a06 0800 1050 1a00", "{'port':80}");
        expect(CORE "TCPSocketAction", "0a0a 0801 1000 1a0468747470", "{'port':'http'}");
        expect(CORE "TCPSocketAction", "0a00", "{'port':0}");
        expect_error(CORE "TCPSocketAction", "0a02 0802", "impossible IntOrString.Type");
}

static void test_maps(void **state)
{
        (void)state;
        /* Secret.data: bytes as base64; an entry without value, without key; the last of two. */
        expect(CORE "Secret", "1208 0a0161 1203 010203", "{'data':{'a':'AQID'}}");
        expect(CORE "Secret", "1203 0a0161", "{'data':{'a':''}}");
        expect(CORE "Secret", "1203 120178", "{'data':{'':'eA=='}}");
        expect(CORE "Secret", "1206 0a0161 120178 1206 0a0161 120179", "{'data':{'a':'eQ=='}}");
        expect(CORE "ResourceRequirements", "0a0c 0a03637075 1205 0a03 35306d", "{'limits':{'cpu':'50m'}}");
        expect(CORE "ResourceRequirements", "0a05 0a03637075", "{'limits':{'cpu':'0'}}");
        expect("io.k8s.api.authentication.v1.UserInfo", "220b 0a016b 1206 0a0161 0a0162", "{'extra':{'k':['a','b']}}");
}

static void test_times(void **state)
{
        (void)state;
        expect(META "ObjectMeta", "4208 08bab281c906 1000", "{'creationTimestamp':'2025-11-21T12:21:14Z'}");
        expect(META "ObjectMeta", "4200", "{'creationTimestamp':null}");
        expect(META "ObjectMeta", "4202 0800", "{'creationTimestamp':'1970-01-01T00:00:00Z'}");
        expect(META "ObjectMeta", "420b 088092b8c398feffffff01", "{'creationTimestamp':null}"); /* 0001-01-01 */
        expect("io.k8s.api.coordination.v1.LeaseSpec", "220b 08bab281c906 10afe09532",
            "{'renewTime':'2025-11-21T12:21:14.105213Z'}");
        expect_error(
            META "ObjectMeta", "420a 08ffffffffffffffff7f", "proto: field creationTimestamp: time out of range");
}

static void test_raw(void **state)
{
        (void)state;
        expect("io.k8s.api.apps.v1.ControllerRevision", "120b 0a09 7b2261223a5b315d7d", "{'data':{'a':[1]}}");
        expect("io.k8s.api.apps.v1.ControllerRevision", "1200", "{'data':null}");
        expect_error("io.k8s.api.apps.v1.ControllerRevision", "1203 0a017b",
            "proto: field data: line 1, column 2: unexpected end of JSON input");
}

/* Volume { name = 1; volumeSource = 2 }: the source's fields are the volume's own. */
static void test_embedded(void **state)
{
        (void)state;
        expect(CORE "Volume", "0a0164 1206 0a04 0a022f78", "{'name':'d','hostPath':{'path':'/x'}}");
        expect_error(CORE "Volume", "1001", "proto: wrong wireType = 0 for field io.k8s.api.core.v1.Volume");
}

/* A message that comes twice is merged, as protobuf has it. */
static void test_merge(void **state)
{
        (void)state;
        expect(CORE "Namespace", "0a03 0a0161 0a03 1a0162", "{'metadata':{'name':'a','namespace':'b'}}");
}

/* --- limits and damage */

static void test_unknown_fields(void **state)
{
        (void)state;
        expect(META "Preconditions", "7801 790102030405060708 7a03010203 7d01020304 0a0175", "{'uid':'u'}");
        expect(META "Preconditions", "7b 7b 7801 7c 7a0130 7c 0a0175", "{'uid':'u'}"); /* groups */
        expect(META "Preconditions", "8280808008 00 0a0175", "{'uid':'u'}");           /* a large number */
        expect_error(META "Preconditions", "7b 7b 7801 7c", "unexpected EOF");
        expect_error(META "Preconditions", "7c", "proto: wiretype end group for non-group");
        expect_error(META "Preconditions", "7f00", "proto: illegal wireType 7");
        expect_error(META "Preconditions", "00", "proto: illegal tag 0 (wire type 0)");
}

static void test_damage(void **state)
{
        (void)state;
        expect_error(META "Preconditions", "0a", "unexpected EOF");
        expect_error(META "Preconditions", "0a0275", "unexpected EOF");
        expect_error(META "Preconditions", "0affffffff0f", "unexpected EOF");
        expect_error(
            META "Preconditions", "0affffffffffffffffff01", "proto: negative length found during unmarshaling");
        expect_error(META "Preconditions", "0affffffffffffffffffff01", "proto: integer overflow");
        expect_error(META "Preconditions", "0801", "proto: wrong wireType = 0 for field uid");
        expect_error(META "Preconditions", "0a01ff", "proto: string field uid contains invalid UTF-8");
        expect_error(META "Preconditions", "0a0100", "proto: string field uid contains invalid UTF-8");
        expect_error(META "DeleteOptions", "0a0101", "proto: wrong wireType = 2 for field gracePeriodSeconds");
        expect_error(CORE "Secret", "1203 0a01ff", "proto: string field data contains invalid UTF-8");
        expect_error(CORE "Namespace", "0a05 0a0361", "unexpected EOF");
}

/* Two bytes make a value of fifty: the number of values is what is limited. */
static void test_many_values(void **state)
{
        (void)state;
        struct kc_buf b = KC_BUF_INIT;
        for (int i = 0; i < 400001; i++)
                kc_buf_add(&b, "\x2a\x00", 2);
        struct kc_error err = KC_ERROR_INIT;
        struct json_object *o = NULL;
        assert_true(kc_protobuf_decode(b.data, b.len, type_of(META "DeleteOptions"), &o, &err) < 0);
        assert_string_equal(kc_error_message(&err), "proto: more than 400000 values in a message");
        kc_error_done(&err);
        kc_buf_done(&b);
}

static void expect_envelope_error(const char *hex, const char *message)
{
        struct kc_buf in = unhex(hex);
        char *exact = kc_memdup(in.data, in.len), *api_version, *kind;
        const char *raw;
        size_t len;
        struct kc_error err = KC_ERROR_INIT;
        assert_true(kc_protobuf_unwrap(exact, in.len, &api_version, &kind, &raw, &len, &err) < 0);
        assert_int_equal(err.code, 400);
        assert_string_equal(kc_error_message(&err), message);
        kc_error_done(&err);
        kc_free(exact);
        kc_buf_done(&in);
}

static void test_envelope(void **state)
{
        (void)state;
        static const char no_magic[] =
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]";
        expect_envelope_error("", "empty data");
        expect_envelope_error("6b38", no_magic);
        expect_envelope_error("7b7d20200a", no_magic);
        expect_envelope_error("6b387300", "empty body");
        expect_envelope_error("6b387300 0a05", "unexpected EOF");
        expect_envelope_error("6b387300 0a03 0a01ff", "proto: string field apiVersion contains invalid UTF-8");

        struct kc_buf in = unhex("6b387300 1200");
        char *api_version = NULL, *kind = NULL;
        const char *raw = NULL;
        size_t len = 1;
        assert_int_equal(kc_protobuf_unwrap(in.data, in.len, &api_version, &kind, &raw, &len, NULL), 0);
        assert_string_equal(api_version, "");
        assert_string_equal(kind, "");
        assert_non_null(raw);
        assert_int_equal(len, 0);
        kc_free(api_version);
        kc_free(kind);
        kc_buf_done(&in);
}

/* --- writing */

static void expect_written(const char *type, const char *json, const char *hex)
{
        char *text = kc_str_replace_all(json, "'", "\"");
        struct json_object *o = NULL;
        assert_int_equal(kc_json_parse(text, strlen(text), NULL, &o, NULL), 0);
        struct kc_buf want = unhex(hex), got = KC_BUF_INIT;
        struct kc_error err = KC_ERROR_INIT;
        if (kc_protobuf_encode(o, type_of(type), &got, &err) < 0)
                fail_msg("%s", kc_error_message(&err));
        KC_CLEANUP(kc_freep) char *want_hex = kc_hex_encode(want.data, want.len);
        KC_CLEANUP(kc_freep) char *got_hex = kc_hex_encode(got.len ? got.data : "", got.len);
        assert_string_equal(got_hex, want_hex);
        kc_json_free(o);
        kc_free(text);
        kc_buf_done(&want);
        kc_buf_done(&got);
}

static void test_write(void **state)
{
        (void)state;
        expect_written(META "Preconditions", "{}", "");
        expect_written(META "Preconditions", "{'resourceVersion':'','uid':'u'}", "0a0175 1200");
        expect_written(META "DeleteOptions", "{'dryRun':['a','b'],'gracePeriodSeconds':-1}",
            "08ffffffffffffffffff01 2a0161 2a0162");
        expect_written(CORE "ConfigMap", "{'data':{'b':'2','a':'1'}}",
            "0a10 0a00 1200 1a00 2200 2a00 3200 3800 4200 1206 0a0161 120131 1206 0a0162 120132");
        /* An embedded message is there even if nothing is in it. */
        expect_written(CORE "Volume", "{'name':'d'}", "0a0164 1200");
        expect_written(CORE "Volume", "{'name':'d','emptyDir':{}}", "0a0164 1204 1202 0a00");
        expect_written(CORE "TCPSocketAction", "{'port':'http','host':''}", "0a0a 0801 1000 1a0468747470 1200");
        expect_written("io.k8s.api.coordination.v1.LeaseSpec", "{'renewTime':'2025-11-21T12:21:14.105213Z'}",
            "220b 08bab281c906 10c8d89532");
}

static void test_write_misfit(void **state)
{
        (void)state;
        struct json_object *o = kc_json_build("{'uid':%d}", 1);
        struct kc_error err = KC_ERROR_INIT;
        struct kc_buf out = KC_BUF_INIT;
        assert_true(kc_protobuf_encode(o, type_of(META "Preconditions"), &out, &err) < 0);
        assert_string_equal(kc_error_message(&err), "field uid: the value does not fit its type");
        assert_int_equal(out.len, 0);
        kc_error_done(&err);
        kc_json_free(o);
}

/* --- values that are told apart by their kind in JSON, and lists that protobuf wraps */

static void test_variants(void **state)
{
        (void)state;
        static const char name[] = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        static const char *const texts[] = {
            "{'type':'array','items':{'type':'string'}}",
            "{'type':'array','items':[{'type':'string'},{'type':'integer'}]}",
            "{'additionalProperties':true}",
            "{'additionalProperties':false}",
            "{'additionalProperties':{'type':'string'}}",
            "{'dependencies':{'a':['b','c'],'d':{'type':'string'}}}",
            "{'default':{'a':[1,null,'x']},'enum':[1,'two',false]}",
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(texts); i++) {
                KC_CLEANUP(kc_json_freep) struct json_object *o = kc_json_build(texts[i]);
                KC_CLEANUP(kc_json_freep) struct json_object *back = NULL;
                KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
                assert_int_equal(kc_codec_decode(o, type_of(name), NULL, NULL), 0);
                assert_int_equal(kc_protobuf_encode(o, type_of(name), &out, NULL), 0);
                assert_int_equal(kc_protobuf_decode(out.data, out.len, type_of(name), &back, NULL), 0);
                assert_int_equal(kc_codec_decode(back, type_of(name), NULL, NULL), 0);
                expect_tree(back, texts[i]);
        }
        /* { allows = 1: true, schema = 2: { type = 5 } } */
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build("{'additionalProperties':{'type':'string'}}");
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        assert_int_equal(kc_codec_decode(o, type_of(name), NULL, NULL), 0);
        assert_int_equal(kc_protobuf_encode(o, type_of(name), &out, NULL), 0);
        assert_non_null(memmem(out.data, out.len, "\x08\x01\x12", 3));
        struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *bad = kc_json_build("{'additionalProperties':'x'}");
        assert_true(kc_codec_decode(bad, type_of(name), NULL, &err) < 0);
        assert_string_equal(kc_error_message(&err),
            "json: cannot unmarshal string into Go struct field JSONSchemaProps.additionalProperties of type "
            "v1.JSONSchemaPropsOrBool");
        kc_error_done(&err);
}

static void test_wrapped(void **state)
{
        (void)state;
        static const char verbs[] = "\x22\x0b\x0a\x03get\x0a\x04list"; /* field 4: { items = 1: "get", "list" } */
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build("{'name':'pods','singularName':'pod','namespaced':true,'kind':'Pod',"
                                              "'verbs':['get','list']}");
        KC_CLEANUP(kc_json_freep) struct json_object *back = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        assert_int_equal(kc_protobuf_encode(o, type_of(META "APIResource"), &out, NULL), 0);
        assert_non_null(memmem(out.data, out.len, verbs, sizeof(verbs) - 1));
        assert_int_equal(kc_protobuf_decode(out.data, out.len, type_of(META "APIResource"), &back, NULL), 0);
        KC_CLEANUP(kc_freep) char *text = kc_json_to_str(kc_json_get(back, "verbs"));
        assert_string_equal(text, "[\"get\",\"list\"]");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_kubectl),
            cmocka_unit_test(test_zero_values),
            cmocka_unit_test(test_delete_options),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_repeated_numbers),
            cmocka_unit_test(test_int_or_string),
            cmocka_unit_test(test_maps),
            cmocka_unit_test(test_times),
            cmocka_unit_test(test_raw),
            cmocka_unit_test(test_embedded),
            cmocka_unit_test(test_merge),
            cmocka_unit_test(test_unknown_fields),
            cmocka_unit_test(test_damage),
            cmocka_unit_test(test_many_values),
            cmocka_unit_test(test_envelope),
            cmocka_unit_test(test_write),
            cmocka_unit_test(test_write_misfit),
            cmocka_unit_test(test_variants),
            cmocka_unit_test(test_wrapped),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
