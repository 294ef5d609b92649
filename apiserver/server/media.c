/* Content negotiation of answers. Pure: any thread. */
#include <string.h>

#include "api/protobuf.h"
#include "base/str.h"
#include "server/server_internal.h"

static const char *const media_types[] = {
    [MEDIA_JSON] = "application/json",
    [MEDIA_YAML] = "application/yaml",
    [MEDIA_PROTOBUF] = KC_PROTOBUF_MEDIA_TYPE,
};

enum { MAX_CLAUSES = 64 };

/* One alternative of an Accept header. */
struct clause {
        char *type; /* "application/json" */
        char *group, *version, *as, *stream, *server_version;
        bool pretty;
        double q;
};

static void clause_done(struct clause *c)
{
        kc_free(c->type);
        kc_free(c->group);
        kc_free(c->version);
        kc_free(c->as);
        kc_free(c->stream);
        kc_free(c->server_version);
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
        else if (strcmp(trimmed, "sv") == 0)
                kc_str_set(&c->server_version, eq);
        else if (strcmp(trimmed, "pretty") == 0)
                c->pretty = strcmp(eq, "1") == 0;
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

/* The alternatives of a header, the preferred ones first. */
struct clauses {
        struct clause v[MAX_CLAUSES];
        size_t n;
};

static void clauses_done(struct clauses *l)
{
        for (size_t i = 0; i < l->n; i++)
                clause_done(&l->v[i]);
}

static bool any_type(const struct clause *c)
{
        return kc_str_has_prefix(c->type ? c->type : "", "*/");
}

static bool any_subtype(const struct clause *c)
{
        return kc_str_has_suffix(c->type ? c->type : "", "/*");
}

/* goautoneg's order. */
static bool before(const struct clause *a, const struct clause *b)
{
        return a->q > b->q || (!any_type(a) && any_type(b)) || (!any_subtype(a) && any_subtype(b));
}

static void clauses_parse(const char *accept, struct clauses *ret)
{
        ret->n = 0;
        KC_CLEANUP(kc_strv_freep) char **texts = kc_strv_split(accept, ',');
        for (size_t i = 0; texts[i] && ret->n < MAX_CLAUSES; i++) {
                struct clause c;
                size_t at = ret->n++;
                parse_clause(texts[i], &c);
                for (; at > 0 && before(&c, &ret->v[at - 1]); at--)
                        ret->v[at] = ret->v[at - 1];
                ret->v[at] = c;
        }
}

static bool type_matches(const struct clause *c, enum media_type type)
{
        return kc_streq(c->type, "*/*") || kc_streq(c->type, "application/*") || kc_streq(c->type, media_types[type]);
}

/* What an endpoint has to offer. */
struct offer {
        bool forms;    /* Table, PartialObjectMetadata */
        bool protobuf; /* the type has an encoding */
};

/* The form that a clause asks for; false: not one that we have. */
static bool form_of(const struct clause *c, const struct offer *o, enum media_type type, struct media *ret)
{
        static const struct {
                const char *name;
                enum media_as as;
        } kinds[] = {
            {"Table", AS_TABLE}, {"PartialObjectMetadata", AS_PARTIAL}, {"PartialObjectMetadataList", AS_PARTIAL_LIST}};
        ret->as = AS_ITSELF;
        if (!c->as && !c->group && !c->version)
                return type != MEDIA_PROTOBUF || o->protobuf;
        ret->beta = kc_streq(c->version, "v1beta1");
        if (!o->forms || !kc_streq(c->group, "meta.k8s.io") || !(ret->beta || kc_streq(c->version, "v1")))
                return false;
        for (size_t i = 0; i < KC_ARRAY_LEN(kinds); i++)
                if (kc_streq(kinds[i].name, c->as))
                        ret->as = kinds[i].as;
        if (ret->as == AS_TABLE)
                return type != MEDIA_PROTOBUF; /* Tables have no encoding there */
        return ret->as != AS_ITSELF && !(type == MEDIA_PROTOBUF && ret->beta);
}

static bool accepts(const struct clause *c, const struct offer *o, enum media_type type, struct media *ret)
{
        if (!type_matches(c, type))
                return false;
        if (!kc_str_empty(c->stream) && (type == MEDIA_YAML || strcmp(c->stream, "watch") != 0))
                return false;
        if (!kc_str_empty(c->server_version) &&
            (type == MEDIA_YAML || !o->forms || strcmp(c->server_version, "v1") != 0))
                return false;
        ret->type = type;
        return form_of(c, o, type, ret);
}

static bool wants_pretty(const struct api_req *q)
{
        KC_CLEANUP(kc_freep) char *param = api_req_param(q, "pretty");
        if (!kc_str_empty(param)) {
                bool pretty;
                return kc_str_to_bool(param, &pretty) == 0 && pretty;
        }
        const char *agent = kc_http_req_header(q->http, "User-Agent");
        return agent && (kc_str_has_prefix(agent, "curl") || kc_str_has_prefix(agent, "Wget") ||
                            kc_str_has_prefix(agent, "Mozilla/5.0"));
}

static bool negotiate(const struct api_req *q, const struct offer *o, struct media *ret)
{
        *ret = (struct media){.pretty = wants_pretty(q)};
        const char *accept = kc_http_req_header(q->http, "Accept");
        if (kc_str_empty(accept))
                return true;
        KC_CLEANUP(clauses_done) struct clauses l;
        clauses_parse(accept, &l);
        for (size_t i = 0; i < l.n; i++)
                for (enum media_type type = 0; type <= MEDIA_PROTOBUF; type++)
                        if (accepts(&l.v[i], o, type, ret)) {
                                ret->pretty = ret->pretty || l.v[i].pretty;
                                return true;
                        }
        return false;
}

void media_default(struct api_req *q)
{
        q->media = (struct media){.pretty = wants_pretty(q)};
}

int media_negotiate(struct api_req *q, struct kc_error *err)
{
        const struct offer o = {.forms = q->row != NULL, .protobuf = !q->row || proto_has(q->row->type)};
        if (negotiate(q, &o, &q->media))
                return 0;
        media_default(q);
        return kc_error_set_api(err, 406, KC_REASON_NOT_ACCEPTABLE, "only the following media types are accepted: %s",
            "application/json, application/yaml, " KC_PROTOBUF_MEDIA_TYPE);
}

int media_check_stream(const struct api_req *q, struct kc_error *err)
{
        if (q->media.type != MEDIA_YAML)
                return 0;
        return kc_error_set_api(err, 406, KC_REASON_NOT_ACCEPTABLE, "only the following media types are accepted: %s",
            "application/json;stream=watch, " KC_PROTOBUF_MEDIA_TYPE ";stream=watch");
}

struct media media_of_status(const struct api_req *q)
{
        static const struct offer status = {.protobuf = true};
        struct media m;
        /* An error is not hidden behind another one: as raw JSON then. */
        return negotiate(q, &status, &m) ? m : (struct media){.pretty = true};
}

bool media_accepts_as(const char *accept, const char *group, const char *version, const char *as)
{
        KC_CLEANUP(clauses_done) struct clauses l;
        clauses_parse(accept ? accept : "", &l);
        for (size_t i = 0; i < l.n; i++) {
                const struct clause *c = &l.v[i];
                if (!type_matches(c, MEDIA_JSON))
                        continue;
                if (kc_str_empty(c->as))
                        return false; /* clients name what they like best first */
                if (kc_streq(c->group, group) && kc_streq(c->version, version) && kc_streq(c->as, as))
                        return true;
        }
        return false;
}

const char *media_content_type(const struct media *m)
{
        return media_types[m->type];
}
