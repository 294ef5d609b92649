/* The table of one family as text for nft. Keeps, for every map and set element, which Services want it: two Services
 * that claim one address and port (external IPs) do not fail the transaction, the first keeps it. One thread. */
#include "proxy/ruleset.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"

/* One element of the table, by "<container>\t<key>". */
struct element {
        char **values; /* strv: what Services want, in order of arrival; values[0] is in force. May repeat. */
        char *applied; /* what the kernel has; NULL: nothing */
};

struct chain {
        struct kc_proxy_chain def;
        bool shared; /* made from its name, kept until the table is made anew */
};

struct kc_ruleset {
        struct kc_ruleset_opts opts;
        char *cluster_cidr;
        char **nodeport_cidrs;
        const char *fam;             /* "ip" or "ip6" */
        struct kc_map *services;     /* key -> struct kc_proxy_rules * */
        struct kc_map *elements;     /* "<container>\t<key>" -> struct element * */
        struct kc_map *dirty;        /* element ids to look at */
        struct kc_map *chains;       /* name -> struct chain *: what should be */
        struct kc_map *dirty_chains; /* names to write anew */
        struct kc_map *gone_chains;  /* name -> struct chain *: to be deleted */
};

static void element_free(void *p)
{
        struct element *e = p;
        kc_strv_free(e->values);
        kc_free(e->applied);
        kc_free(e);
}

static void rules_free(void *p)
{
        kc_proxy_rules_done(p);
        kc_free(p);
}

static void chain_free(void *p)
{
        struct chain *c = p;
        struct kc_proxy_rules r = {.chains = kc_memdup(&c->def, sizeof(c->def)), .n_chains = 1};
        kc_proxy_rules_done(&r);
        kc_free(c);
}

struct kc_ruleset *kc_ruleset_new(const struct kc_ruleset_opts *o)
{
        struct kc_ruleset *r = KC_NEW(struct kc_ruleset);
        r->opts = *o;
        r->cluster_cidr = kc_strdup(o->cluster_cidr);
        r->nodeport_cidrs = kc_strv_copy(o->nodeport_cidrs);
        r->fam = o->family == AF_INET ? "ip" : "ip6";
        r->services = kc_map_new(rules_free);
        r->elements = kc_map_new(element_free);
        r->dirty = kc_map_new(NULL);
        r->chains = kc_map_new(chain_free);
        r->dirty_chains = kc_map_new(NULL);
        r->gone_chains = kc_map_new(chain_free);
        return r;
}

void kc_ruleset_free(struct kc_ruleset *r)
{
        kc_map_free(r->services);
        kc_map_free(r->elements);
        kc_map_free(r->dirty);
        kc_map_free(r->chains);
        kc_map_free(r->dirty_chains);
        kc_map_free(r->gone_chains);
        kc_free(r->cluster_cidr);
        kc_strv_free(r->nodeport_cidrs);
        kc_free(r);
}

/* Splits "<container>\t<key>\t<value>" into the id and the value. */
static char *element_id(const char *line, const char **ret_value)
{
        const char *tab = strrchr(line, '\t');
        *ret_value = tab + 1;
        return kc_strndup(line, (size_t)(tab - line));
}

static struct chain *chain_of(const struct kc_proxy_chain *def, bool shared)
{
        struct chain *c = KC_NEW(struct chain);
        c->shared = shared;
        c->def = (struct kc_proxy_chain){
            .name = kc_strdup(def->name),
            .rules = kc_strv_copy(def->rules),
            .set_names = kc_strv_copy(def->set_names),
            .timeout_s = def->timeout_s,
        };
        return c;
}

/* A map for each protocol: the port of the data must be one of a protocol, "ip daddr . th dport" cannot be read back by
 * nft 1.0.6, and whatever protocol it is, nft makes the rule that uses the map match only that. */
static const char *const protocols[] = {"tcp", "udp", "sctp"};

/* "dnat ip to ip daddr . tcp dport . numgen random mod 3 map @endpoints-tcp" */
static void push_dnat(const struct kc_ruleset *r, char ***rules, const char *prefix, const char *map, size_t n)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(protocols); i++) {
                const char *p = protocols[i];
                if (*prefix)
                        kc_strv_pushf(rules, "meta l4proto %s dnat %s to %s dport . numgen random mod %zu map @%s%s-%s",
                            p, r->fam, p, n, prefix, map, p);
                else
                        kc_strv_pushf(rules,
                            "meta l4proto %s dnat %s to %s daddr . %s dport . numgen random mod %zu map @%s-%s", p,
                            r->fam, r->fam, p, n, map, p);
        }
}

/* The rules of a chain that is known by its name alone. */
static bool shared_chain(const struct kc_ruleset *r, const char *name, struct kc_proxy_chain *ret)
{
        const char *prefix = kc_str_has_prefix(name, "nodeport-") ? "nodeport-" : "", *rest = name + strlen(prefix);
        size_t local = 0, n = 0;

        *ret = (struct kc_proxy_chain){.name = kc_strdup(name)};
        if (sscanf(rest, "lb-%zu", &n) == 1) {
                push_dnat(r, &ret->rules, prefix, "endpoints", n);
        } else if (sscanf(rest, "masquerade-lb-%zu", &n) == 1) {
                kc_strv_push(&ret->rules, "jump mark-for-masquerade");
                push_dnat(r, &ret->rules, prefix, "endpoints", n);
        } else if (sscanf(rest, "local-lb-%zu-%zu", &local, &n) == 2) {
                /* What comes from pods or from the node itself is not subject to the external policy. */
                if (r->cluster_cidr)
                        kc_strv_pushf(&ret->rules, "%s saddr %s goto %slb-%zu", r->fam, r->cluster_cidr, prefix, n);
                kc_strv_pushf(&ret->rules, "fib saddr type local goto %smasquerade-lb-%zu", prefix, n);
                if (local)
                        push_dnat(r, &ret->rules, prefix, "local-endpoints", local);
                else
                        kc_strv_push(&ret->rules, "drop");
        } else if (kc_str_has_prefix(name, "masquerade-affinity-")) {
                kc_strv_push(&ret->rules, "jump mark-for-masquerade");
                kc_strv_pushf(&ret->rules, "goto %s", name + strlen("masquerade-"));
        } else {
                kc_free(ret->name);
                return false;
        }
        return true;
}

static void want_chain(struct kc_ruleset *r, const char *name)
{
        struct kc_proxy_chain def;
        if (kc_map_has(r->chains, name) || !shared_chain(r, name, &def))
                return;
        struct chain *c = KC_NEW(struct chain);
        c->shared = true;
        c->def = def;
        for (size_t i = 0; def.rules[i]; i++) {
                const char *to = strstr(def.rules[i], "goto ");
                if (to)
                        want_chain(r, to + strlen("goto "));
        }
        kc_map_set(r->chains, name, c);
        kc_map_set(r->dirty_chains, name, r);
}

static void add_lines(struct kc_ruleset *r, char *const *lines)
{
        for (size_t i = 0; lines && lines[i]; i++) {
                const char *value;
                KC_CLEANUP(kc_freep) char *id = element_id(lines[i], &value);
                struct element *e = kc_map_get(r->elements, id);
                if (!e) {
                        e = KC_NEW(struct element);
                        kc_map_set(r->elements, id, e);
                }
                kc_strv_push(&e->values, value);
                kc_map_set(r->dirty, id, r);
                if (kc_str_has_prefix(value, "goto "))
                        want_chain(r, value + strlen("goto "));
        }
}

static void remove_first(char **values, const char *value)
{
        size_t i = 0;
        while (values[i] && strcmp(values[i], value) != 0)
                i++;
        if (!values[i])
                return;
        kc_free(values[i]);
        for (; values[i]; i++)
                values[i] = values[i + 1];
}

static void remove_lines(struct kc_ruleset *r, char *const *lines)
{
        for (size_t i = 0; lines && lines[i]; i++) {
                const char *value;
                KC_CLEANUP(kc_freep) char *id = element_id(lines[i], &value);
                struct element *e = kc_map_get(r->elements, id);
                if (e && e->values)
                        remove_first(e->values, value);
                kc_map_set(r->dirty, id, r);
        }
}

static bool same_chain(const struct kc_proxy_chain *a, const struct kc_proxy_chain *b)
{
        size_t n = kc_strv_len(a->rules);
        if (n != kc_strv_len(b->rules) || a->timeout_s != b->timeout_s)
                return false;
        for (size_t i = 0; i < n; i++)
                if (strcmp(a->rules[i], b->rules[i]) != 0)
                        return false;
        return true;
}

/* Chains that went and their sets are deleted at the end of the transaction. */
static void retire_chain(struct kc_ruleset *r, const char *name)
{
        struct chain *c = kc_map_steal(r->chains, name);
        if (!c)
                return;
        kc_map_remove(r->dirty_chains, name);
        kc_map_set(r->gone_chains, name, c);
}

static void replace_chains(struct kc_ruleset *r, const struct kc_proxy_rules *old, const struct kc_proxy_rules *new)
{
        for (size_t i = 0; old && i < old->n_chains; i++) {
                bool kept = false;
                for (size_t j = 0; new &&j < new->n_chains && !kept; j++)
                        kept = strcmp(old->chains[i].name, new->chains[j].name) == 0;
                if (!kept) {
                        KC_CLEANUP(kc_freep) char *masq = kc_asprintf("masquerade-%s", old->chains[i].name);
                        retire_chain(r, masq);
                        retire_chain(r, old->chains[i].name);
                }
        }
        for (size_t j = 0; new &&j < new->n_chains; j++) {
                const struct kc_proxy_chain *def = &new->chains[j];
                struct chain *present = kc_map_get(r->chains, def->name);
                if (present && same_chain(&present->def, def))
                        continue;
                struct chain *next = chain_of(def, false);
                if (present) {
                        /* Sets that only the old rules used go with a gone "chain" that has no name of its own. */
                        struct chain *leftover = kc_map_steal(r->chains, def->name);
                        for (size_t k = 0; def->set_names && def->set_names[k]; k++)
                                (void)kc_strv_remove(leftover->def.set_names, def->set_names[k]);
                        KC_CLEANUP(kc_freep) char *id = kc_asprintf("%s#sets", def->name);
                        if (kc_strv_len(leftover->def.set_names) > 0 && !kc_map_has(r->gone_chains, id))
                                kc_map_set(r->gone_chains, id, leftover);
                        else
                                chain_free(leftover);
                }
                kc_map_set(r->chains, def->name, next);
                kc_map_set(r->dirty_chains, def->name, r);
        }
}

static bool same_rules(const struct kc_proxy_rules *a, const struct kc_proxy_rules *b)
{
        if (!kc_strv_equal(a->elements, b->elements) || a->n_chains != b->n_chains)
                return false;
        for (size_t i = 0; i < a->n_chains; i++)
                if (strcmp(a->chains[i].name, b->chains[i].name) != 0 || !same_chain(&a->chains[i], &b->chains[i]))
                        return false;
        return true;
}

void kc_ruleset_set(struct kc_ruleset *r, const char *service_key, struct kc_proxy_rules *take_rules)
{
        struct kc_proxy_rules *old = kc_map_get(r->services, service_key);

        if (take_rules && !take_rules->elements && !take_rules->n_chains) {
                kc_proxy_rules_done(take_rules);
                take_rules = NULL;
        }
        if (!old && !take_rules)
                return;
        if (old && take_rules && same_rules(old, take_rules)) {
                /* An endpoint that terminates beside a ready one changes nothing but what flows may stay with it. */
                char **udp = old->udp;
                old->udp = take_rules->udp;
                take_rules->udp = udp;
                kc_proxy_rules_done(take_rules);
                return;
        }
        replace_chains(r, old, take_rules);
        if (take_rules)
                add_lines(r, take_rules->elements);
        if (old)
                remove_lines(r, old->elements);
        if (!take_rules) {
                kc_map_remove(r->services, service_key);
                return;
        }
        kc_map_set(r->services, service_key, kc_memdup(take_rules, sizeof(*take_rules)));
        *take_rules = (struct kc_proxy_rules){0};
}

/* "add element ip kube-proxy endpoints { key : value }" */
static void element_command(
    const struct kc_ruleset *r, struct kc_buf *b, const char *verb, const char *id, const char *value)
{
        const char *tab = strchr(id, '\t');
        kc_buf_addf(b, "%s element %s kube-proxy %.*s { %s", verb, r->fam, (int)(tab - id), id, tab + 1);
        if (value && *value)
                kc_buf_addf(b, " : %s", value);
        kc_buf_adds(b, " }\n");
}

static const char *wanted(const struct element *e)
{
        return e->values ? e->values[0] : NULL;
}

static void chain_sets(const struct kc_ruleset *r, struct kc_buf *b, const struct chain *c)
{
        for (size_t i = 0; c->def.set_names && c->def.set_names[i]; i++)
                kc_buf_addf(b,
                    "add set %s kube-proxy %s { type %s; flags dynamic,timeout; timeout %llds; size 65536; }\n", r->fam,
                    c->def.set_names[i], r->opts.family == AF_INET ? "ipv4_addr" : "ipv6_addr",
                    (long long)c->def.timeout_s);
}

static void chain_rules(const struct kc_ruleset *r, struct kc_buf *b, const struct chain *c)
{
        for (size_t i = 0; c->def.rules && c->def.rules[i]; i++)
                kc_buf_addf(b, "add rule %s kube-proxy %s %s\n", r->fam, c->def.name, c->def.rules[i]);
}

static void write_chains(const struct kc_ruleset *r, struct kc_buf *b, const struct kc_map *names)
{
        KC_CLEANUP(kc_strv_freep) char **sorted = kc_map_sorted_keys(names);

        for (size_t i = 0; sorted && sorted[i]; i++) {
                kc_buf_addf(b, "add chain %s kube-proxy %s\n", r->fam, sorted[i]);
                kc_buf_addf(b, "flush chain %s kube-proxy %s\n", r->fam, sorted[i]);
                chain_sets(r, b, kc_map_get(r->chains, sorted[i]));
        }
        for (size_t i = 0; sorted && sorted[i]; i++)
                chain_rules(r, b, kc_map_get(r->chains, sorted[i]));
}

/* Names of the sets that these chains use. The cluster's and the node port's chain of a Service share theirs. */
static struct kc_map *sets_of(const struct kc_ruleset *r, const struct kc_map *chains)
{
        struct kc_map *names = kc_map_new(NULL);
        size_t it = 0;
        const char *name;
        void *value;

        while (kc_map_next(chains, &it, &name, &value)) {
                const struct chain *c = value;
                for (size_t i = 0; c->def.set_names && c->def.set_names[i]; i++)
                        kc_map_set(names, c->def.set_names[i], (void *)r);
        }
        return names;
}

static void delete_chains(const struct kc_ruleset *r, struct kc_buf *b)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *gone = sets_of(r, r->gone_chains), *used = sets_of(r, r->chains);
        KC_CLEANUP(kc_strv_freep) char **chains = kc_map_sorted_keys(r->gone_chains), **sets = kc_map_sorted_keys(gone);

        /* Emptied first: one may go to another. What has a '#' only holds sets. */
        for (size_t i = 0; chains && chains[i]; i++)
                if (!strchr(chains[i], '#') && !kc_map_has(r->chains, chains[i]))
                        kc_buf_addf(b, "add chain %s kube-proxy %s\nflush chain %s kube-proxy %s\n", r->fam, chains[i],
                            r->fam, chains[i]);
        for (size_t i = 0; chains && chains[i]; i++)
                if (!strchr(chains[i], '#') && !kc_map_has(r->chains, chains[i]))
                        kc_buf_addf(b, "delete chain %s kube-proxy %s\n", r->fam, chains[i]);
        for (size_t i = 0; sets && sets[i]; i++)
                if (!kc_map_has(used, sets[i]))
                        kc_buf_addf(b, "delete set %s kube-proxy %s\n", r->fam, sets[i]);
}

void kc_ruleset_changes(struct kc_ruleset *r, struct kc_buf *ret)
{
        KC_CLEANUP(kc_strv_freep) char **ids = kc_map_sorted_keys(r->dirty);

        write_chains(r, ret, r->dirty_chains);
        for (size_t i = 0; ids && ids[i]; i++) {
                const struct element *e = kc_map_get(r->elements, ids[i]);
                if (e->applied && !kc_streq(e->applied, wanted(e)))
                        element_command(r, ret, "delete", ids[i], NULL);
        }
        for (size_t i = 0; ids && ids[i]; i++) {
                const struct element *e = kc_map_get(r->elements, ids[i]);
                if (wanted(e) && !kc_streq(e->applied, wanted(e)))
                        element_command(r, ret, "add", ids[i], wanted(e));
        }
        delete_chains(r, ret);
}

/* typeof: a plain type has no name for what numgen gives. */
static void write_endpoint_maps(const struct kc_ruleset *r, struct kc_buf *b)
{
        static const char *const maps[] = {"endpoints", "local-endpoints"};
        const char *f = r->fam;

        for (size_t i = 0; i < KC_ARRAY_LEN(maps) * KC_ARRAY_LEN(protocols); i++) {
                const char *m = maps[i % KC_ARRAY_LEN(maps)], *p = protocols[i / KC_ARRAY_LEN(maps)];
                kc_buf_addf(b,
                    "add map %s kube-proxy %s-%s { typeof %s daddr . %s dport . numgen random mod 65536 : %s daddr . "
                    "%s "
                    "dport; }\n",
                    f, m, p, f, p, f, p);
                kc_buf_addf(b,
                    "add map %s kube-proxy nodeport-%s-%s { typeof %s dport . numgen random mod 65536 : %s daddr . %s "
                    "dport; }\n",
                    f, m, p, p, f, p);
        }
}

/* Maps, sets and base chains of an empty table. */
static void write_skeleton(const struct kc_ruleset *r, struct kc_buf *b)
{
        const char *f = r->fam, *addr = r->opts.family == AF_INET ? "ipv4_addr" : "ipv6_addr";
        unsigned mark = 1U << r->opts.masquerade_bit;

        kc_buf_addf(b, "add table %s kube-proxy { comment \"rules for kube-proxy\"; }\n", f);
        for (const char *const *m = (const char *const[]){"service-ips", "no-endpoint-services", "firewall-ips", NULL};
             *m; m++)
                kc_buf_addf(
                    b, "add map %s kube-proxy %s { type %s . inet_proto . inet_service : verdict; }\n", f, *m, addr);
        for (const char *const *m = (const char *const[]){"nodeports", "no-endpoint-nodeports", NULL}; *m; m++)
                kc_buf_addf(b, "add map %s kube-proxy %s { type inet_proto . inet_service : verdict; }\n", f, *m);
        write_endpoint_maps(r, b);
        kc_buf_addf(b, "add set %s kube-proxy cluster-ips { type %s; }\n", f, addr);
        kc_buf_addf(b, "add set %s kube-proxy hairpin { type %s . %s; }\n", f, addr, addr);
        kc_buf_addf(b, "add set %s kube-proxy nodeport-ips { type %s; flags interval; auto-merge; }\n", f, addr);
        for (size_t i = 0; r->nodeport_cidrs && r->nodeport_cidrs[i]; i++)
                kc_buf_addf(b, "add element %s kube-proxy nodeport-ips { %s }\n", f, r->nodeport_cidrs[i]);
        for (const char *const *c = (const char *const[]){"mark-for-masquerade", "reject-chain", "services", "refusals",
                 "unknown-ports", NULL};
             *c; c++)
                kc_buf_addf(b, "add chain %s kube-proxy %s\n", f, *c);
        kc_buf_addf(b, "add rule %s kube-proxy mark-for-masquerade meta mark set meta mark or 0x%x\n", f, mark);
        kc_buf_addf(b, "add rule %s kube-proxy reject-chain reject\n", f);
}

static void write_base_chains(const struct kc_ruleset *r, struct kc_buf *b)
{
        const char *f = r->fam;
        unsigned mark = 1U << r->opts.masquerade_bit;
        static const struct {
                const char *name, *hook, *priority, *to;
        } hooks[] = {
            {"nat-prerouting", "nat hook prerouting", "dstnat", "services"},
            {"nat-output", "nat hook output", "-100", "services"},
            {"filter-prerouting", "filter hook prerouting", "-110", "refusals"},
            {"filter-output", "filter hook output", "-110", "refusals"},
            {"filter-forward", "filter hook forward", "filter", "unknown-ports"},
            {"filter-output-post-dnat", "filter hook output", "-90", "unknown-ports"},
        };

        if (r->opts.masquerade_all)
                kc_buf_addf(
                    b, "add rule %s kube-proxy services %s daddr @cluster-ips jump mark-for-masquerade\n", f, f);
        else if (r->cluster_cidr)
                kc_buf_addf(b,
                    "add rule %s kube-proxy services %s daddr @cluster-ips %s saddr != %s jump mark-for-masquerade\n",
                    f, f, f, r->cluster_cidr);
        kc_buf_addf(b, "add rule %s kube-proxy services %s daddr . meta l4proto . th dport vmap @service-ips\n", f, f);
        kc_buf_addf(b,
            "add rule %s kube-proxy services fib daddr type local %s daddr @nodeport-ips meta l4proto . th dport vmap"
            " @nodeports\n",
            f, f);
        /* Before translation, so that the Service's own address is seen; "refuse" and "drop" are not for nat chains. */
        kc_buf_addf(b, "add rule %s kube-proxy refusals ct state != new return\n", f);
        kc_buf_addf(b, "add rule %s kube-proxy refusals %s daddr . meta l4proto . th dport vmap @firewall-ips\n", f, f);
        kc_buf_addf(
            b, "add rule %s kube-proxy refusals %s daddr . meta l4proto . th dport vmap @no-endpoint-services\n", f, f);
        kc_buf_addf(b,
            "add rule %s kube-proxy refusals fib daddr type local %s daddr @nodeport-ips meta l4proto . th dport vmap"
            " @no-endpoint-nodeports\n",
            f, f);
        /* What still goes to a cluster IP after translation went to a port that the Service does not have. */
        kc_buf_addf(b, "add rule %s kube-proxy unknown-ports ct state new %s daddr @cluster-ips reject\n", f, f);
        for (size_t i = 0; i < KC_ARRAY_LEN(hooks); i++) {
                kc_buf_addf(b, "add chain %s kube-proxy %s { type %s priority %s; }\n", f, hooks[i].name, hooks[i].hook,
                    hooks[i].priority);
                kc_buf_addf(b, "add rule %s kube-proxy %s jump %s\n", f, hooks[i].name, hooks[i].to);
        }
        kc_buf_addf(b, "add chain %s kube-proxy nat-postrouting { type nat hook postrouting priority srcnat; }\n", f);
        kc_buf_addf(b,
            "add rule %s kube-proxy nat-postrouting meta mark & 0x%x != 0 meta mark set meta mark & 0x%x masquerade"
            " fully-random\n",
            f, mark, ~mark);
        kc_buf_addf(b,
            "add rule %s kube-proxy nat-postrouting ct status dnat %s saddr . %s daddr @hairpin masquerade "
            "fully-random\n",
            f, f, f);
}

/* Set name -> the chain that uses it. */
static struct kc_map *affinity_sets(const struct kc_ruleset *r)
{
        struct kc_map *sets = kc_map_new(NULL);
        size_t it = 0;
        const char *name;
        void *value;

        while (kc_map_next(r->chains, &it, &name, &value)) {
                const struct chain *c = value;
                for (size_t i = 0; c->def.set_names && c->def.set_names[i]; i++)
                        kc_map_set(sets, c->def.set_names[i], value);
        }
        return sets;
}

/* Clients stay with their endpoints although the table is made anew. */
static void write_affinity(const struct kc_ruleset *r, char *const *lines, struct kc_buf *b)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *sets = affinity_sets(r);

        for (size_t i = 0; lines && lines[i]; i++) {
                KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(lines[i], '\t');
                const struct chain *c = kc_map_get(sets, parts[0]);
                int64_t left;
                if (!c || kc_strv_len(parts) != 3 || kc_str_to_i64(parts[2], &left) < 0)
                        continue;
                kc_buf_addf(b, "add element %s kube-proxy %s { %s expires %llds }\n", r->fam, parts[0], parts[1],
                    (long long)KC_MIN(left, c->def.timeout_s));
        }
}

void kc_ruleset_full(struct kc_ruleset *r, char *const *affinity, struct kc_buf *ret)
{
        KC_CLEANUP(kc_strv_freep) char **ids = kc_map_sorted_keys(r->elements);

        kc_buf_addf(ret, "add table %s kube-proxy\ndelete table %s kube-proxy\n", r->fam, r->fam);
        write_skeleton(r, ret);
        write_base_chains(r, ret);
        write_chains(r, ret, r->chains);
        for (size_t i = 0; ids && ids[i]; i++) {
                const struct element *e = kc_map_get(r->elements, ids[i]);
                if (wanted(e))
                        element_command(r, ret, "add", ids[i], wanted(e));
                /* Whatever was applied before is gone with the table: commit looks at every element. */
                kc_map_set(r->dirty, ids[i], r);
        }
        write_affinity(r, affinity, ret);
}

void kc_ruleset_commit(struct kc_ruleset *r)
{
        size_t it = 0;
        const char *id;
        void *unused;

        while (kc_map_next(r->dirty, &it, &id, &unused)) {
                struct element *e = kc_map_get(r->elements, id);
                if (wanted(e))
                        kc_str_set(&e->applied, wanted(e));
                else
                        kc_map_remove(r->elements, id);
        }
        kc_map_clear(r->dirty);
        kc_map_clear(r->dirty_chains);
        kc_map_clear(r->gone_chains);
}

size_t kc_ruleset_elements(const struct kc_ruleset *r)
{
        return kc_map_len(r->elements);
}

char *const *kc_ruleset_udp(const struct kc_ruleset *r, const char *service_key)
{
        const struct kc_proxy_rules *rules = kc_map_get(r->services, service_key);
        return rules ? rules->udp : NULL;
}

char **kc_ruleset_services(const struct kc_ruleset *r)
{
        return kc_map_sorted_keys(r->services);
}

void kc_ruleset_set_nodeport_cidrs(struct kc_ruleset *r, char *const *cidrs)
{
        kc_strv_free(r->nodeport_cidrs);
        r->nodeport_cidrs = kc_strv_copy(cidrs);
}
