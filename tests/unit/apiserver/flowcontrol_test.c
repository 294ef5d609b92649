/* Priority and fairness: matching, dealing, fair queues, seats, borrowing. Time is given. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "flowcontrol/flow_internal.h"

struct fixture {
        struct kc_loop *loop;
        struct kc_flow *flow;
        struct kc_fake_clock clock; /* stands still unless it is moved on */
};

/* One request of a user. */
struct client {
        struct kc_user *user;
        struct kc_flow_ticket *ticket;
        struct kc_flow_work work;
        enum kc_flow_answer answer;
        bool turn;
};

static int setup(void **state)
{
        struct fixture *f = KC_NEW(struct fixture);
        assert_int_equal(kc_loop_new("test", &f->loop, NULL), 0);
        kc_fake_clock_init(&f->clock, 1000 * KC_SEC);
        kc_fake_clock_advance(&f->clock, KC_SEC);
        f->flow = kc_flow_new(&(struct kc_flow_opts){.loop = f->loop, .clock = &f->clock.clock, .concurrency = 4});
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;
        kc_flow_stop(f->flow);
        kc_loop_free(f->loop);
        kc_flow_free(f->flow);
        kc_free(f);
        return 0;
}

static void configure(struct fixture *f, const char *level_spec)
{
        struct json_object *schemas = kc_json_build(
            "[{'metadata':{'name':'s','uid':'su'},'spec':{'priorityLevelConfiguration':{'name':'l'},"
            "'matchingPrecedence':100,'distinguisherMethod':{'type':'ByUser'},'rules':[{'subjects':[{'kind':'Group',"
            "'group':{'name':'*'}}],'resourceRules':[{'verbs':['*'],'apiGroups':['*'],'resources':['*'],"
            "'clusterScope':true,'namespaces':['*']}]}]}}]");
        char *text = kc_asprintf("[{'metadata':{'name':'l','uid':'lu'},'spec':%s}]", level_spec);
        struct json_object *levels = kc_json_build(text);
        kc_flow_configure(f->flow, schemas, levels);
        kc_json_free(schemas);
        kc_json_free(levels);
        kc_free(text);
}

/* Nearly all of the four seats: catch-all has 5 shares. */
#define QUEUES(n, hand, length)                                                                                        \
        "{'type':'Limited','limited':{'nominalConcurrencyShares':10000,'limitResponse':{'type':'Queue','queuing':"     \
        "{'queues':" #n ",'handSize':" #hand ",'queueLengthLimit':" #length "}}}}"

static void estimate(unsigned max_seats, struct kc_flow_work *ret, void *arg)
{
        (void)max_seats;
        const struct client *c = arg;
        if (c->work.initial_seats > 0)
                *ret = c->work;
}

static void on_turn(void *arg)
{
        struct client *c = arg;
        c->turn = true;
}

static void enter(struct fixture *f, struct client *c, const char *name)
{
        char *groups[] = {(char *)"g", NULL};
        c->user = kc_user_new(name, "", groups);
        const struct kc_flow_request r = {
            .attrs = {.user = c->user,
                .resource_request = true,
                .verb = "get",
                .path = "",
                .group = "",
                .version = "v1",
                .resource = "pods",
                .subresource = "",
                .ns = "default",
                .name = ""},
            .estimate = estimate,
            .loop = f->loop,
            .on_turn = on_turn,
            .arg = c,
        };
        c->turn = false;
        c->answer = kc_flow_enter(f->flow, &r, &c->ticket);
}

static void leave(struct client *c)
{
        kc_flow_leave(c->ticket);
        kc_user_unref(c->user);
        c->ticket = NULL;
}

static void test_deal(void **state)
{
        (void)state;
        for (uint64_t hash = 1; hash; hash = hash < UINT64_MAX / 7 ? hash * 7 + 3 : 0) {
                unsigned hand[6];
                flow_deal(hash, 16, 6, hand);
                for (int i = 0; i < 6; i++) {
                        assert_true(hand[i] < 16);
                        for (int j = 0; j < i; j++)
                                assert_int_not_equal(hand[i], hand[j]);
                }
        }
        unsigned all[4];
        flow_deal(0, 4, 4, all);
        assert_int_equal(all[0] + all[1] + all[2] + all[3], 6);
}

/* --- matching */

static struct kc_flow_attrs attrs_of(const struct kc_user *u, const char *resource, const char *sub, const char *ns)
{
        return (struct kc_flow_attrs){.user = u,
            .resource_request = true,
            .verb = "list",
            .path = "",
            .group = "",
            .version = "v1",
            .resource = resource,
            .subresource = sub,
            .ns = ns,
            .name = ""};
}

static bool matches(const char *rule, const struct kc_flow_attrs *a)
{
        char *text = kc_asprintf("{'metadata':{'name':'s'},'spec':{'rules':[%s]}}", rule);
        struct json_object *obj = kc_json_build(text);
        struct flow_schema *s = flow_schema_new(obj);
        bool r = flow_schema_matches(s, a);
        flow_schema_unref(s);
        kc_json_free(obj);
        kc_free(text);
        return r;
}

#define SA(ns, name)                                                                                                   \
        "{'subjects':[{'kind':'ServiceAccount','serviceAccount':{'namespace':'" ns "','name':'" name                   \
        "'}}],'resourceRules':[{'verbs':['list'],'apiGroups':[''],'resources':['pods','pods/"                          \
        "log'],'namespaces':['a']}]}"

static void test_match(void **state)
{
        (void)state;
        char *groups[] = {(char *)"system:authenticated", NULL};
        struct kc_user *u = kc_user_new("system:serviceaccount:kube-system:x", "", groups);
        struct kc_flow_attrs a = attrs_of(u, "pods", "", "a");
        assert_true(matches(SA("kube-system", "*"), &a));
        assert_true(matches(SA("kube-system", "x"), &a));
        assert_false(matches(SA("kube-system", "y"), &a));
        assert_false(matches(SA("kube", "x"), &a));
        a = attrs_of(u, "pods", "log", "a");
        assert_true(matches(SA("kube-system", "*"), &a));
        a = attrs_of(u, "pods", "exec", "a");
        assert_false(matches(SA("kube-system", "*"), &a));
        a = attrs_of(u, "pods", "", "b");
        assert_false(matches(SA("kube-system", "*"), &a));
        a = attrs_of(u, "pods", "", ""); /* over all namespaces is cluster scope */
        assert_false(matches(SA("kube-system", "*"), &a));
        a = (struct kc_flow_attrs){.user = u, .verb = "get", .path = "/healthz/etcd"};
        static const char health[] = "{'subjects':[{'kind':'Group','group':{'name':'system:authenticated'}}],"
                                     "'nonResourceRules':[{'verbs':['get'],'nonResourceURLs':['/healthz/*']}]}";
        assert_true(matches(health, &a));
        a.path = "/healthz";
        assert_false(matches(health, &a));
        kc_user_unref(u);
}

/* --- queues */

static void test_flood(void **state)
{
        struct fixture *f = *state;
        configure(f, QUEUES(16, 1, 50));
        enum { FLOOD = 44 };
        struct client flood[FLOOD] = {0}, quiet = {0};
        for (int i = 0; i < FLOOD; i++) {
                enter(f, &flood[i], "flood");
                assert_int_equal(flood[i].answer, i < 4 ? KC_FLOW_EXECUTE : KC_FLOW_WAIT);
        }
        /* Somebody with another queue: names are hashed with a key of the process. */
        for (int i = 0; i < 1000; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("quiet-%d", i);
                enter(f, &quiet, name);
                assert_int_equal(quiet.answer, KC_FLOW_WAIT);
                if (quiet.ticket->queue != flood[FLOOD - 1].ticket->queue)
                        break;
                leave(&quiet);
        }
        assert_ptr_not_equal(quiet.ticket->queue, flood[FLOOD - 1].ticket->queue);
        /* The first seat that comes free is theirs, though 40 came before. */
        kc_fake_clock_advance(&f->clock, 20 * KC_MSEC);
        leave(&flood[0]);
        kc_loop_flush(f->loop);
        assert_true(quiet.turn);
        assert_false(flood[4].turn);
        leave(&quiet);
        kc_loop_flush(f->loop);
        assert_true(flood[4].turn);
        for (int i = 1; i < FLOOD; i++)
                leave(&flood[i]);
        kc_loop_flush(f->loop);
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        assert_true(kc_flow_dump(f->flow, "dump_priority_levels", false, &out));
        assert_non_null(strstr(out.data, "l,                 0,            true,   false,       0,"));
}

static void test_limits(void **state)
{
        struct fixture *f = *state;
        configure(f, QUEUES(1, 1, 2));
        struct client c[7] = {0};
        for (int i = 0; i < 7; i++) {
                enter(f, &c[i], "u");
                assert_int_equal(c[i].answer, i < 4 ? KC_FLOW_EXECUTE : i < 6 ? KC_FLOW_WAIT : KC_FLOW_REJECT);
        }
        assert_string_equal(kc_flow_schema_uid(c[6].ticket), "su");
        assert_string_equal(kc_flow_level_uid(c[6].ticket), "lu");
        /* One that waits goes away: its place is free; one that has waited too long, too. */
        leave(&c[4]);
        leave(&c[6]);
        enter(f, &c[6], "u");
        assert_int_equal(c[6].answer, KC_FLOW_WAIT);
        assert_true(kc_flow_give_up(c[6].ticket));
        leave(&c[6]);
        leave(&c[0]);
        assert_false(kc_flow_give_up(c[5].ticket)); /* its turn is on its way */
        kc_loop_flush(f->loop);
        assert_true(c[5].turn);
        /* A turn that comes too late for one that has left is not told. */
        enter(f, &c[0], "u");
        assert_int_equal(c[0].answer, KC_FLOW_WAIT);
        leave(&c[1]);
        leave(&c[0]);
        kc_loop_flush(f->loop);
        assert_false(c[0].turn);
        leave(&c[2]);
        leave(&c[3]);
        leave(&c[5]);
}

static void test_reject(void **state)
{
        struct fixture *f = *state;
        configure(
            f, "{'type':'Limited','limited':{'nominalConcurrencyShares':10000,'limitResponse':{'type':'Reject'}}}");
        struct client c[5] = {0};
        for (int i = 0; i < 5; i++) {
                enter(f, &c[i], "u");
                assert_int_equal(c[i].answer, i < 4 ? KC_FLOW_EXECUTE : KC_FLOW_REJECT);
        }
        for (int i = 0; i < 5; i++)
                leave(&c[i]);
        configure(f, "{'type':'Exempt'}");
        for (int i = 0; i < 5; i++) {
                enter(f, &c[i], "u");
                assert_int_equal(c[i].answer, KC_FLOW_EXECUTE);
        }
        for (int i = 0; i < 5; i++)
                leave(&c[i]);
}

static void test_wide(void **state)
{
        struct fixture *f = *state;
        configure(f, QUEUES(4, 4, 50));
        struct client narrow = {0}, wide = {.work = {.initial_seats = 10}}, next = {0};
        enter(f, &narrow, "a");
        enter(f, &wide, "b"); /* wider than the level: when it is alone */
        enter(f, &next, "a");
        assert_int_equal(wide.answer, KC_FLOW_WAIT);
        assert_int_equal(next.answer, KC_FLOW_WAIT);
        leave(&narrow);
        kc_loop_flush(f->loop);
        assert_true(wide.turn || next.turn);
        leave(wide.turn ? &wide : &next);
        kc_loop_flush(f->loop);
        assert_true(wide.ticket ? wide.turn : next.turn);
        leave(wide.ticket ? &wide : &next);
}

/* A write with many watchers: its seats stay taken for the time that telling them takes. */
static void test_latency(void **state)
{
        (void)state;
        struct json_object *obj = kc_json_build("{'metadata':{'name':'l'},'spec':" QUEUES(1, 1, 9) "}");
        struct flow_level *l = flow_level_new("l");
        flow_level_configure(l, obj);
        l->current = 4;
        const char *why;
        struct kc_flow_ticket t = {
            .work = {.initial_seats = 1, .final_seats = 3, .additional_latency = 5 * KC_MSEC}, .level = l};
        struct kc_flow_ticket other = {.work = {.initial_seats = 2}, .level = l};
        assert_int_equal(flow_level_enter(l, &t, 1.0, &why), KC_FLOW_EXECUTE);
        assert_int_equal(l->seats_in_use, 3);
        assert_int_equal(flow_level_enter(l, &other, 1.0, &why), KC_FLOW_WAIT);
        flow_level_finish(l, &t, 1.1);
        assert_int_equal(l->seats_in_use, 3);
        assert_null(flow_level_next(l, 1.1));
        flow_level_release(l, &t, 1.105);
        assert_ptr_equal(flow_level_next(l, 1.105), &other);
        flow_level_finish(l, &other, 1.2);
        flow_level_release(l, &other, 1.2);
        assert_true(flow_level_idle(l));
        flow_level_free(l);
        kc_json_free(obj);
}

/* --- shares */

static void test_allocate(void **state)
{
        (void)state;
        struct flow_claim v[] = {{.target = 10, .lower = 5, .upper = 100}, {.target = 20, .lower = 20, .upper = 30},
            {.target = 0, .lower = 0, .upper = 100}};
        (void)flow_allocate(v, 3, 60);
        assert_true(fabs(v[0].alloc + v[1].alloc + v[2].alloc - 60) < 0.01);
        assert_true(v[0].alloc > 29 && v[1].alloc < 30.01 && v[2].alloc < 1);
        (void)flow_allocate(v, 3, 1); /* less than the lower bounds: they stay */
        assert_true(v[0].alloc == 5 && v[1].alloc == 20);
}

static void test_borrow(void **state)
{
        (void)state;
        struct flow_level *busy = flow_level_new("busy"), *idle = flow_level_new("idle");
        busy->shares = idle->shares = 50;
        idle->lendable_percent = 60;
        busy->borrowing_percent = 40;
        idle->borrowing_percent = -1;
        struct flow_level *v[] = {busy, idle};
        flow_share(v, 2, 100);
        assert_int_equal(busy->current, 50);
        assert_int_equal(busy->max, 70);
        assert_int_equal(idle->min, 20);
        flow_integral_set(&busy->demand, 90, 1);
        flow_integral_set(&idle->demand, 0, 1);
        (void)flow_borrow(v, 2, 11);
        assert_int_equal(busy->current, 70); /* as much as it may borrow */
        assert_int_equal(idle->current, 30);
        flow_level_free(busy);
        flow_level_free(idle);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_deal),
            cmocka_unit_test(test_match),
            cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
            cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
            cmocka_unit_test_setup_teardown(test_reject, setup, teardown),
            cmocka_unit_test_setup_teardown(test_wide, setup, teardown),
            cmocka_unit_test(test_latency),
            cmocka_unit_test(test_allocate),
            cmocka_unit_test(test_borrow),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
