# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the comments of the .proto on an event, and on all that is in it, as rows of a C table:
# {"type", "member", "comment", "unit" or NULL}. It knows protobuf as far as the .proto makes
# use of it, one declaration on a line; whatever else it meets ends it, with its place.

BEGIN {
	ROOT = "netwatch.Event"
	split("us ns s bytes segments events connections", list, " ")
	for (i in list)
		is_unit[list[i]] = 1
	IDENT = "[A-Za-z_][A-Za-z_0-9]*"
	NUMBER = " = [0-9]+( \\[[^]]*\\])?;$"
	scopes = 0
}

function fail(line, message) {
	printf "%s:%d: %s\n", FILENAME, line, message > "/dev/stderr"
	failed = 1
	exit 1
}

# The full name of the message or enum that is open.
function scope(	path, i) {
	path = package
	for (i = 1; i <= scopes; i++)
		path = path (kinds[i] == "oneof" ? "" : "." names[i])
	return path
}

# What was said about this declaration, above it or at its end.
function take_comment(	text) {
	if (above != "" && behind != "")
		fail(FNR, "a comment above and one at the end")
	text = above behind
	above = behind = ""
	return text
}

function add_member(name, type,	text) {
	text = take_comment()
	members++
	owner[members] = scope()
	member[members] = name
	types[members] = type
	lines[members] = FNR
	if (match(text, / *\[[^]]*\]$/)) {
		units[members] = substr(text, RSTART, RLENGTH)
		gsub(/[][ ]/, "", units[members])
		text = substr(text, 1, RSTART - 1)
		if (!(units[members] in is_unit))
			fail(FNR, "unknown unit \"" units[members] "\"")
	}
	if (text ~ /[\\\t]/)
		fail(FNR, "a tab or a backslash in a comment")
	comments[members] = text
}

function open_scope(code,	words) {
	split(code, words, " ")
	if (words[1] == "oneof")
		add_member(words[2], "")
	else
		take_comment()
	scopes++
	kinds[scopes] = words[1]
	names[scopes] = words[2]
	if (words[1] != "oneof")
		declared[scope()] = 1
}

function close_scope() {
	if (above behind != "")
		fail(FNR, "a comment about nothing")
	if (!scopes)
		fail(FNR, "} without {")
	scopes--
}

function is_field(code) {
	if (kinds[scopes] == "oneof")
		return code ~ "^[A-Za-z_.0-9]+ " IDENT NUMBER
	return kinds[scopes] == "message" &&
	       code ~ "^(optional|repeated) [A-Za-z_.0-9]+ " IDENT NUMBER
}

function declare(code,	words) {
	split(code, words, " ")
	if (code ~ "^(message|enum|oneof) " IDENT " [{]$") {
		open_scope(code)
	} else if (code ~ "^message " IDENT " [{][}]$") {
		open_scope(code)
		close_scope()
	} else if (code ~ /^[}]$/) {
		close_scope()
	} else if (is_field(code)) {
		if (kinds[scopes] == "oneof")
			add_member(words[2], words[1])
		else
			add_member(words[3], words[2])
	} else if (kinds[scopes] == "enum" && code ~ "^" IDENT NUMBER) {
		add_member(words[1], "")
	} else if (code ~ /^(syntax|package|import|option|reserved) [^{}]*;$/) {
		take_comment()
		if (words[1] == "package")
			package = substr(words[2], 1, length(words[2]) - 1)
	} else {
		fail(FNR, "not understood: " code)
	}
}

{
	gsub(/^[ \t]+|[ \t]+$/, "")
}
/\/\*/ {
	fail(FNR, "only // comments are understood")
}
/^\/\// {
	sub(/^\/\/ */, "")
	above = above (above == "" ? "" : " ") $0
	next
}
/^$/ {
	if (above != "" && scopes)
		fail(FNR, "a comment about nothing")
	above = ""
	next
}
{
	code = $0
	at = index(code, "//")
	if (at) {
		behind = substr(code, at + 2)
		sub(/^ */, "", behind)
		code = substr(code, 1, at - 1)
		sub(/ *$/, "", code)
	}
	declare(code)
}

# The message or enum that a field's type means where it stands; "": it is a scalar.
function resolve(path, type,	scalar) {
	scalar = "^(bool|string|bytes|float|double|([su]?int|s?fixed)(32|64))$"
	if (type == "" || type ~ scalar || type ~ /^google[.]protobuf[.]/)
		return ""
	while (!((path "." type) in declared)) {
		if (path !~ /[.]/)
			return "?"
		sub(/[.][^.]*$/, "", path)
	}
	return path "." type
}

# Marks a type, and all that it leads to.
function reach(type,	i, next_type) {
	if (type == "" || type in reached)
		return
	reached[type] = 1
	for (i = 1; i <= members; i++) {
		if (owner[i] != type)
			continue
		next_type = resolve(type, types[i])
		if (next_type == "?")
			fail(lines[i], "unknown type " types[i])
		reach(next_type)
	}
}

function quoted(text,	parts, count, i, result) {
	if (text == "")
		return "NULL"
	count = split(text, parts, "\"")
	result = parts[1]
	for (i = 2; i <= count; i++)
		result = result "\\\"" parts[i]
	return "\"" result "\""
}

END {
	if (failed)
		exit 1
	if (scopes)
		fail(FNR, "{ without }")
	if (!(ROOT in declared))
		fail(FNR, "there is no " ROOT)
	reach(ROOT)
	if (failed)
		exit 1
	for (i = 1; i <= members; i++) {
		if (!(owner[i] in reached))
			continue
		if (comments[i] == "")
			fail(lines[i], owner[i] "." member[i] " has no comment")
		printf "{%s, %s, %s, %s},\n", quoted(owner[i]), quoted(member[i]),
			quoted(comments[i]), quoted(units[i])
	}
}
