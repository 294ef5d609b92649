/* Shared by the sources of the protobuf codec: the wire format below the schema. */
#pragma once

#include "api/protobuf.h"

enum { KC_PB_VARINT = 0, KC_PB_FIXED64 = 1, KC_PB_BYTES = 2, KC_PB_GROUP = 3, KC_PB_GROUP_END = 4, KC_PB_FIXED32 = 5 };

/* The largest field number of our types. */
enum { KC_PB_NUMBER_MAX = (1 << KC_WIRE_BITS) - 1 };

/* "k8s\0" */
enum { KC_PB_MAGIC_LEN = 4 };
extern const unsigned char kc_pb_magic[KC_PB_MAGIC_LEN];

/* What is left of a message. */
struct kc_pb_in {
        const unsigned char *p, *end;
};

/* The readers move in on; at its end they fail with "unexpected EOF". */
int kc_pb_read_varint(struct kc_pb_in *in, uint64_t *ret, struct kc_error *err);
int kc_pb_read_fixed64(struct kc_pb_in *in, uint64_t *ret, struct kc_error *err);
int kc_pb_read_bytes(struct kc_pb_in *in, struct kc_pb_in *ret, struct kc_error *err);
int kc_pb_read_tag(struct kc_pb_in *in, uint32_t *ret_number, unsigned *ret_wire, struct kc_error *err);
/* Passes the value of an unknown field. */
int kc_pb_skip(struct kc_pb_in *in, unsigned wire, struct kc_error *err);
/* 400, "proto: wrong wireType = 0 for field name". */
int kc_pb_wrong_wire(unsigned wire, const char *field, struct kc_error *err);

/* A small message without repeated fields (Quantity, Time, the envelope): its fields 1 to 4. */
struct kc_pb_leaf {
        bool has[5];
        uint64_t number[5];
        struct kc_pb_in bytes[5];
};
/* wires: the wire types of field 1 and on, '0' (varint) or '2' (bytes); other fields are skipped. */
int kc_pb_read_leaf(
    struct kc_pb_in in, const char *name, const char *wires, struct kc_pb_leaf *ret, struct kc_error *err);
