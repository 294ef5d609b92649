/* Content negotiation of answers, and their encodings. Pure: any thread. */
#include <string.h>

#include "base/str.h"
#include "server/request.h"
#include "json/json.h"
#include "json/yaml.h"

/* One alternative of an Accept header. */
struct clause {
        char *type; /* "application/json" */
        char *group, *version, *as, *stream;
        double q;
};

static void clause_done(struct clause *c)
{
        kc_free(c->type);
        kc_free(c->group);
        kc_free(c->version);
        kc_free(c->as);
        kc_free(c->stream);
}

static void set_param(struct clause *c, const char *param)
{
        KC_CLEANUP(kc_freep) char *trimmed = kc_str_trim(param);
        char *eq = strchr(trimmed, '=');
        if (!eq)
                return;
        *eq++ = '\0';
        size_t len = strlen(eq);
        if (len >= 2 && eq[0] == '"' && eq[len - 1] == '"') {
                eq[len - 1] = '\0';
                eq++;
        }
        if (strcmp(trimmed, "g") == 0)
                kc_str_set(&c->group, eq);
        else if (strcmp(trimmed, "v") == 0)
                kc_str_set(&c->version, eq);
        else if (strcmp(trimmed, "as") == 0)
                kc_str_set(&c->as, eq);
        else if (strcmp(trimmed, "stream") == 0)
                kc_str_set(&c->stream, eq);
        else if (strcmp(trimmed, "q") == 0 && kc_str_to_double(eq, &c->q) < 0)
                c->q = 0;
}

static void parse_clause(const char *text, struct clause *ret)
{
        *ret = (struct clause){.q = 1};
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(text, ';');
        if (!parts || !parts[0])
                return;
        ret->type = kc_str_trim(parts[0]);
        for (size_t i = 1; parts[i]; i++)
                set_param(ret, parts[i]);
}

static bool type_of(const struct clause *c, bool watch, enum media_type *ret)
{
        static const struct {
                const char *name;
                enum media_type type;
        } types[] = {{"application/json", MEDIA_JSON}, {"*/*", MEDIA_JSON}, {"application/*", MEDIA_JSON},
            {"application/yaml", MEDIA_YAML}};
        if (!c->type || c->q <= 0)
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(types); i++)
                if (kc_strcaseeq(types[i].name, c->type)) {
                        *ret = types[i].type;
                        return !(watch && types[i].type == MEDIA_YAML); /* YAML cannot be streamed */
                }
        return false;
}

/* The transformation that a clause asks for; false: not one that we have. */
static bool as_of(const struct clause *c, enum media_as *ret)
{
        static const struct {
                const char *name;
                enum media_as as;
        } kinds[] = {
            {"Table", AS_TABLE}, {"PartialObjectMetadata", AS_PARTIAL}, {"PartialObjectMetadataList", AS_PARTIAL_LIST}};
        *ret = AS_ITSELF;
        if (kc_str_empty(c->as))
                return true;
        if (!kc_streq(c->group, "meta.k8s.io") || !kc_streq(c->version, "v1"))
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (strcmp(kinds[i].name, c->as) == 0) {
                        *ret = kinds[i].as;
                        return true;
                }
        return false;
}

/* Lists are not single objects, and the other way round. */
static bool as_fits(const struct api_req *q, enum media_as as)
{
        bool list = strcmp(q->info.verb, "list") == 0 || strcmp(q->info.verb, "deletecollection") == 0;
        return !(as == AS_PARTIAL && list) && !(as == AS_PARTIAL_LIST && !list);
}

static bool wants_pretty(const struct api_req *q)
{
        KC_CLEANUP(kc_freep) char *param = api_req_param(q, "pretty");
        if (param)
                return strcmp(param, "false") != 0 && strcmp(param, "0") != 0;
        const char *agent = kc_http_req_header(q->http, "User-Agent");
        return agent && (kc_str_has_prefix(agent, "curl") || kc_str_has_prefix(agent, "Wget") ||
                            kc_str_has_prefix(agent, "Mozilla/5.0"));
}

static int not_acceptable(struct kc_error *err, bool watch)
{
        return kc_error_set_api(err, 406, KC_REASON_NOT_ACCEPTABLE, "only the following media types are accepted: %s",
            watch ? "application/json;stream=watch" : "application/json, application/yaml");
}

void media_default(struct api_req *q)
{
        q->media = (struct media){.pretty = wants_pretty(q)};
}

int media_negotiate(struct api_req *q, bool watch, struct kc_error *err)
{
        media_default(q);
        const char *accept = kc_http_req_header(q->http, "Accept");
        if (kc_str_empty(accept))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **texts = kc_strv_split(accept, ',');
        double best = 0;
        for (size_t i = 0; texts[i]; i++) {
                struct clause c;
                enum media_type type = MEDIA_JSON;
                enum media_as as = AS_ITSELF;
                parse_clause(texts[i], &c);
                if (c.q > best && type_of(&c, watch, &type) && as_of(&c, &as) && as_fits(q, as)) {
                        best = c.q;
                        q->media.type = type;
                        q->media.as = as;
                }
                clause_done(&c);
        }
        return best > 0 ? 0 : not_acceptable(err, watch);
}

bool media_accepts_as(const char *accept, const char *group, const char *version, const char *as)
{
        KC_CLEANUP(kc_strv_freep) char **texts = kc_strv_split(accept ? accept : "", ',');
        bool found = false;
        for (size_t i = 0; texts[i] && !found; i++) {
                struct clause c;
                enum media_type type;
                parse_clause(texts[i], &c);
                found = type_of(&c, false, &type) && kc_streq(c.group, group) && kc_streq(c.version, version) &&
                        kc_streq(c.as, as);
                /* Clients name what they like best first. */
                bool plain = type_of(&c, false, &type) && kc_str_empty(c.as);
                clause_done(&c);
                if (plain)
                        break;
        }
        return found;
}

const char *media_content_type(const struct media *m)
{
        return m->type == MEDIA_YAML ? "application/yaml" : "application/json";
}

void media_write(const struct media *m, const struct json_object *tree, struct kc_buf *out)
{
        if (m->type == MEDIA_YAML) {
                kc_yaml_write(out, tree);
        } else if (m->pretty) {
                kc_json_write_pretty(out, tree, 2, false);
        } else {
                kc_json_write(out, tree);
                kc_buf_addc(out, '\n');
        }
}
