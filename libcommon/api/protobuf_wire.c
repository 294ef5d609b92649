/* Reading the protobuf wire format: varints, lengths, unknown fields, small messages. Every length is checked against
 * what is there. Pure: any thread. */
#include "api/protobuf_internal.h"

#include <string.h>

#include "api/status.h"

const unsigned char kc_pb_magic[KC_PB_MAGIC_LEN] = {'k', '8', 's', 0};

static int unexpected_eof(struct kc_error *err)
{
        return kc_err_bad_request(err, "unexpected EOF");
}

int kc_pb_wrong_wire(unsigned wire, const char *field, struct kc_error *err)
{
        return kc_err_bad_request(err, "proto: wrong wireType = %u for field %s", wire, field);
}

int kc_pb_read_varint(struct kc_pb_in *in, uint64_t *ret, struct kc_error *err)
{
        uint64_t v = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
                if (in->p == in->end)
                        return unexpected_eof(err);
                unsigned char b = *in->p++;
                v |= (uint64_t)(b & 0x7f) << shift;
                if (b < 0x80) {
                        *ret = v;
                        return 0;
                }
        }
        return kc_err_bad_request(err, "proto: integer overflow");
}

static int read_fixed(struct kc_pb_in *in, size_t size, uint64_t *ret, struct kc_error *err)
{
        if ((size_t)(in->end - in->p) < size)
                return unexpected_eof(err);
        *ret = 0;
        for (size_t i = 0; i < size; i++)
                *ret |= (uint64_t)in->p[i] << (8 * i);
        in->p += size;
        return 0;
}

int kc_pb_read_fixed64(struct kc_pb_in *in, uint64_t *ret, struct kc_error *err)
{
        return read_fixed(in, 8, ret, err);
}

int kc_pb_read_bytes(struct kc_pb_in *in, struct kc_pb_in *ret, struct kc_error *err)
{
        uint64_t len;
        int r = kc_pb_read_varint(in, &len, err);
        if (r < 0)
                return r;
        if (len > INT64_MAX)
                return kc_err_bad_request(err, "proto: negative length found during unmarshaling");
        if (len > (uint64_t)(in->end - in->p))
                return unexpected_eof(err);
        *ret = (struct kc_pb_in){.p = in->p, .end = in->p + len};
        in->p += len;
        return 0;
}

int kc_pb_read_tag(struct kc_pb_in *in, uint32_t *ret_number, unsigned *ret_wire, struct kc_error *err)
{
        uint64_t tag;
        int r = kc_pb_read_varint(in, &tag, err);
        if (r < 0)
                return r;
        unsigned wire = tag & 7;
        if (tag >> 3 == 0 || tag >> 3 > INT32_MAX)
                return kc_err_bad_request(
                    err, "proto: illegal tag %d (wire type %u)", (int32_t)(uint32_t)(tag >> 3), wire);
        if (wire == KC_PB_GROUP_END)
                return kc_err_bad_request(err, "proto: wiretype end group for non-group");
        *ret_number = (uint32_t)(tag >> 3);
        *ret_wire = wire;
        return 0;
}

/* Groups are counted, not entered. */
int kc_pb_skip(struct kc_pb_in *in, unsigned wire, struct kc_error *err)
{
        size_t depth = 0;
        for (;;) {
                uint64_t ignored;
                struct kc_pb_in bytes;
                int r = 0;
                if (wire == KC_PB_VARINT)
                        r = kc_pb_read_varint(in, &ignored, err);
                else if (wire == KC_PB_FIXED64)
                        r = read_fixed(in, 8, &ignored, err);
                else if (wire == KC_PB_FIXED32)
                        r = read_fixed(in, 4, &ignored, err);
                else if (wire == KC_PB_BYTES)
                        r = kc_pb_read_bytes(in, &bytes, err);
                else if (wire == KC_PB_GROUP)
                        depth++;
                else if (wire != KC_PB_GROUP_END)
                        return kc_err_bad_request(err, "proto: illegal wireType %u", wire);
                else if (depth-- == 0)
                        return kc_err_bad_request(err, "proto: unexpected end of group");
                if (r < 0 || depth == 0)
                        return r;
                r = kc_pb_read_varint(in, &ignored, err);
                if (r < 0)
                        return r;
                wire = ignored & 7;
        }
}

int kc_pb_read_leaf(
    struct kc_pb_in in, const char *name, const char *wires, struct kc_pb_leaf *ret, struct kc_error *err)
{
        size_t known = strlen(wires);
        *ret = (struct kc_pb_leaf){0};
        while (in.p < in.end) {
                uint32_t number;
                unsigned wire;
                int r = kc_pb_read_tag(&in, &number, &wire, err);
                if (r < 0)
                        return r;
                if (number > known)
                        r = kc_pb_skip(&in, wire, err);
                else if (wire != (unsigned)(wires[number - 1] - '0'))
                        r = kc_pb_wrong_wire(wire, name, err);
                else if (wire == KC_PB_BYTES)
                        r = kc_pb_read_bytes(&in, &ret->bytes[number], err);
                else
                        r = kc_pb_read_varint(&in, &ret->number[number], err);
                if (r < 0)
                        return r;
                if (number <= known)
                        ret->has[number] = true;
        }
        return 0;
}
