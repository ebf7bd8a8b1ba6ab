/* SPDX-License-Identifier: Apache-2.0 */
#include "zkserver/core/sasl.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "tests/lib/unit.h"
#include "zkserver/core/jaas.h"

/* The example of RFC 2831, section 4. */
#define RFC_NONCE "OA6MG9tEQGm2hh"
#define RFC_RESPONSE                                                                               \
	"charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"" RFC_NONCE "\","  \
	"nc=00000001,cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\","           \
	"response=d388dad90d4bbd760a152321f2143af7,qop=auth"

/* By Java's client, for a user and a password with umlauts. */
#define JAVAS_RESPONSE                                                                             \
	"charset=utf-8,username=\"Zo\xc3\xab\",realm=\"zk-sasl-md5\",nonce=\"n0nce\",nc=00000001," \
	"cnonce=\"jHb+swbe1u8GSe4WVS+M9le5rIDTws7ydK1Ey95P\",digest-uri=\"zookeeper/"              \
	"zk-sasl-md5\","                                                                           \
	"maxbuf=65536,response=14d4cc851460ba5115baff1d6aaa7703,qop=auth"

static bool
md5(const void *bytes, size_t size, uint8_t to[SASL_MD5_BYTES])
{
	return EVP_Digest(bytes, size, to, NULL, EVP_md5(), NULL) == 1;
}

static bool
no_md5(const void *bytes, size_t size, uint8_t to[SASL_MD5_BYTES])
{
	(void)bytes;
	(void)size;
	(void)to;
	return false;
}

static char chris[] = "chris", secret[] = "secret", paul[] = "paul", other[] = "other";
static const struct sasl_user users[] = {{paul, other}, {chris, secret}};
static struct sasl_config config = {"imap", "elwood.innosoft.com", users, 2, md5};
static struct sasl sasl;
static char answer[SASL_CHALLENGE_MAX];

static void
start(void)
{
	sasl_init(&sasl, RFC_NONCE);
	ck_assert_int_eq(sasl_next(&sasl, &config, NULL, 0, answer), SASL_CHALLENGED);
}

static enum sasl_step
respond(const char *text)
{
	return sasl_next(&sasl, &config, (const uint8_t *)text, strlen(text), answer);
}

static void
assert_refused(const char *text, const char *why)
{
	start();
	ck_assert_int_eq(respond(text), SASL_FAILED);
	ck_assert_msg(strstr(sasl.why, why) != NULL, "%s: %s", text, sasl.why);
	ck_assert_str_eq(sasl.user, "");
	ck_assert_str_eq(answer, "");
}

/* RFC_RESPONSE with one piece of it replaced. */
static const char *
with(const char *piece, const char *instead)
{
	static char text[2 * SASL_RESPONSE_MAX];
	const char *at = strstr(RFC_RESPONSE, piece);

	ck_assert_ptr_nonnull(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - RFC_RESPONSE), RFC_RESPONSE, instead,
	    at + strlen(piece));
	return text;
}

START_TEST(the_rfcs_example_is_let_in)
{
	start();
	ck_assert_str_eq(answer, "realm=\"elwood.innosoft.com\",nonce=\"" RFC_NONCE
				 "\",charset=utf-8,algorithm=md5-sess");
	ck_assert_int_eq(respond(RFC_RESPONSE), SASL_DONE);
	ck_assert_str_eq(answer, "rspauth=ea40f60335c427b5527b84dbabcdfffd");
	ck_assert_str_eq(sasl.user, "chris");
}
END_TEST

START_TEST(blanks_and_unquoted_values_are_as_good)
{
	start();
	ck_assert_int_eq(
	    respond(with("username=\"chris\",", "  username = chris , ,\tx=\"a\\\"b\" ,")),
	    SASL_DONE);
}
END_TEST

START_TEST(a_wrong_password_and_an_unknown_user_get_the_same_answer)
{
	assert_refused(with("d388", "d389"), "user or password is wrong");
	assert_refused(with("username=\"chris\"", "username=\"paul\""), "user or password");
	assert_refused(with("username=\"chris\"", "username=\"nobody\""), "user or password");
}
END_TEST

START_TEST(a_response_to_another_challenge_is_refused)
{
	sasl_init(&sasl, "anotherNonce");
	ck_assert_int_eq(sasl_next(&sasl, &config, NULL, 0, answer), SASL_CHALLENGED);
	ck_assert_int_eq(respond(RFC_RESPONSE), SASL_FAILED);
	ck_assert_str_eq(sasl.why, "it answers another challenge");
	assert_refused(with("nc=00000001", "nc=00000002"), "another challenge");
}
END_TEST

START_TEST(tokens_out_of_order_are_refused)
{
	sasl_init(&sasl, RFC_NONCE);
	ck_assert_int_eq(respond("\x60\x82\x02"), SASL_FAILED);
	ck_assert_ptr_nonnull(strstr(sasl.why, "Kerberos"));
	ck_assert_int_eq(sasl_next(&sasl, &config, NULL, 0, answer), SASL_FAILED);
	start();
	ck_assert_int_eq(respond(RFC_RESPONSE), SASL_DONE);
	ck_assert_int_eq(respond(RFC_RESPONSE), SASL_FAILED);
	assert_refused("", "lacks a directive");
}
END_TEST

START_TEST(what_does_not_fit_the_challenge_is_refused)
{
	assert_refused(with("elwood.innosoft.com", "elsewhere"), "another realm");
	assert_refused(with("qop=auth", "qop=auth-conf"), "another quality");
	assert_refused(with("charset=utf-8", "charset=latin-1"), "another charset");
	assert_refused(with("imap/", "acap/"), "another service");
	assert_refused(with("innosoft.com\",resp", "innosoft.comm\",resp"), "another service");
	assert_refused(with("d388", "d38"), "not the right length");
	assert_refused(with("username=\"chris\"", "username=\"\""), "empty or too long");
}
END_TEST

START_TEST(bytes_that_are_no_list_are_refused)
{
	static char big[SASL_RESPONSE_MAX + 2];

	assert_refused("username", "no list");
	assert_refused("=x", "no list");
	assert_refused("username=\"chris", "no list");
	assert_refused("username=\"chris\\", "no list");
	assert_refused("username=\"chris\"x", "no list");
	assert_refused("username=,nc=1", "no list");
	assert_refused(RFC_RESPONSE ",nc=00000001", "no list");
	memset(big, 'x', sizeof big - 1);
	assert_refused(big, "longer than 4096");
}
END_TEST

START_TEST(names_that_latin_1_can_hold_are_hashed_as_such)
{
	static char zoe[] = "Zo\xc3\xab", gruen[] = "gr\xc3\xbcn";
	static const struct sasl_user two[] = {{zoe, gruen}};
	struct sasl_config java = {"zookeeper", "zk-sasl-md5", two, 1, md5};

	sasl_init(&sasl, "n0nce");
	ck_assert_int_eq(sasl_next(&sasl, &java, NULL, 0, answer), SASL_CHALLENGED);
	ck_assert_int_eq(sasl_next(&sasl, &java, (const uint8_t *)JAVAS_RESPONSE,
			     strlen(JAVAS_RESPONSE), answer),
	    SASL_DONE);
	ck_assert_str_eq(sasl.user, zoe);
}
END_TEST

START_TEST(without_md5_nobody_is_let_in)
{
	config.md5 = no_md5;
	assert_refused(RFC_RESPONSE, "MD5 cannot be computed");
}
END_TEST

/* What a section holds, a word a line. */
static char seen[4096];

static const char *
note(void *arg, const char *module, const char *key, const char *value)
{
	size_t len = strlen(seen);

	(void)arg;
	if (key != NULL && strcmp(key, "bad") == 0)
		return "bad is not taken";
	snprintf(seen + len, sizeof seen - len, "%s|%s|%s\n", module, key != NULL ? key : "",
	    value != NULL ? value : "");
	return NULL;
}

static enum jaas_result
jaas(const char *text, struct jaas_fault *fault)
{
	seen[0] = '\0';
	return jaas_parse(text, strlen(text), "Server", note, NULL, fault);
}

START_TEST(a_jaas_section_is_read_with_comments_and_quotes)
{
	struct jaas_fault fault;

	ck_assert_int_eq(
	    jaas("// users\nClient { a.B required x=y; };\n# and\n/* more\n */ Server {\n"
		 " org.X required\n  user_super=\"a \\\"b\\\\\"\n user_bob = secret ;\n"
		 " org.Y optional; };\n",
		&fault),
	    JAAS_FOUND);
	ck_assert_str_eq(
	    seen, "org.X||\norg.X|user_super|a \"b\\\norg.X|user_bob|secret\norg.Y||\n");
	ck_assert_int_eq(jaas("Client { a.B required; };", &fault), JAAS_NO_SECTION);
	ck_assert_int_eq(jaas("", &fault), JAAS_NO_SECTION);
}
END_TEST

START_TEST(a_jaas_fault_is_named_with_its_line)
{
	static const struct {
		const char *text, *why;
		unsigned line;
	} faults[] = {
	    {"Server", "followed by a '{'", 1},
	    {"Server {\n a.B required x=;\n};", "no value", 2},
	    {"Server {\n a.B required x;\n};", "no '='", 2},
	    {"Server {\n a.B;\n};", "a flag", 2},
	    {"Server {\n a.B required x=y\n};", "with a ';'", 3},
	    {"Server {\n a.B required;\n}", "behind its '}'", 3},
	    {"Server {\n a.B required x=\"y\n\";};", "does not end on its line", 2},
	    {"/* x", "a comment does not end", 1},
	    {"Server { a.B required\nbad=x; };", "bad is not taken", 2},
	    {"= x", "a section's name", 1},
	};
	struct jaas_fault fault;

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		ck_assert_int_eq(jaas(faults[i].text, &fault), JAAS_BAD);
		ck_assert_msg(strstr(fault.why, faults[i].why) != NULL, "%s", fault.why);
		ck_assert_msg(fault.line == faults[i].line, "%s: line %u", fault.why, fault.line);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("sasl");
	TCase *c = tcase_create("sasl");

	tcase_add_test(c, the_rfcs_example_is_let_in);
	tcase_add_test(c, blanks_and_unquoted_values_are_as_good);
	tcase_add_test(c, a_wrong_password_and_an_unknown_user_get_the_same_answer);
	tcase_add_test(c, a_response_to_another_challenge_is_refused);
	tcase_add_test(c, tokens_out_of_order_are_refused);
	tcase_add_test(c, what_does_not_fit_the_challenge_is_refused);
	tcase_add_test(c, bytes_that_are_no_list_are_refused);
	tcase_add_test(c, names_that_latin_1_can_hold_are_hashed_as_such);
	tcase_add_test(c, without_md5_nobody_is_let_in);
	tcase_add_test(c, a_jaas_section_is_read_with_comments_and_quotes);
	tcase_add_test(c, a_jaas_fault_is_named_with_its_line);
	suite_add_tcase(s, c);
	return s;
}
