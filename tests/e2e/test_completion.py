# SPDX-License-Identifier: GPL-2.0-only
"""`netwatch completion`: the scripts in the shells that they are for, run by a user without a
home directory, where there is no collector."""

import os
import pty
import re
import shlex
import signal
import subprocess

import pytest

from harness import ALICE, DEADLINE_S, wait_until

NO_SOCKET = "/nonexistent/sock"
SHELLS = {"bash": ["bash", "--noprofile", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--private", "--no-config"]}
SYNTAX = {"bash": "-n", "zsh": "-n", "fish": "--no-execute"}
END = "end."

ASK_BASH = f"""
    compopt() {{ :; }}  # works in a real completion only
    [ -z "$1" ] || . "$1"
    . "$2"
    shift 2
    while (($#)); do
        eval "COMP_WORDS=($1)"
        COMP_LINE=$2 COMP_POINT=${{#2}} COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)) COMPREPLY=()
        _netwatch netwatch "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}" || true
        printf '%s\\n' "${{COMPREPLY[@]}}" {END}
        shift 2
    done
"""

# What the completion system would show goes to a file; compadd is where all of it passes.
ASK_ZSH = f"""
    unsetopt beep
    PS1= RPS1=
    fpath=(${{SCRIPT:h}} $fpath)  # for a script that is installed
    autoload -Uz compinit
    compinit -D -u
    [[ $SCRIPT == */_netwatch ]] || . $SCRIPT
    compadd() {{
        if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\\ * ]]; then
            local -a hits
            builtin compadd -A hits "$@"
            (( $#hits )) && print -rl -- "$hits[@]" >> $ANSWERS
        fi
        builtin compadd "$@"
    }}
    show_nothing() {{ compstate[list]= compstate[insert]= }}  # or it might ask back
    ask() {{
        comppostfuncs=(show_nothing)
        zle complete-word
        print {END} >> $ANSWERS
        BUFFER=
    }}
    zle -N ask
    bindkey '^I' ask
    print {END} >> $ANSWERS
"""

ASK_FISH = f"""
    source $argv[1]
    for line in $argv[2..]
        complete -C "$line"
        echo {END}
    end
"""


def environment(place, **more):
    return {"PATH": f"{place.path}:{place.environment['PATH']}", "TERM": "dumb", **more}


def run(place, command):
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL,
        user=ALICE, group=ALICE, extra_groups=[], env=environment(place), cwd="/",
    )
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def answers(text):
    """A set for each line: names of files without their folder, lists without what was there."""

    def plain(line):
        word = line.split("\t")[0].replace("\\", "").rstrip("/=")
        return re.split("[/,=]", word)[-1]

    parts = text.split(f"{END}\n")[:-1]
    return [{plain(line) for line in part.splitlines() if line} for part in parts]


def ask_bash(place, script, lines, library=""):
    asked = []
    for line in lines:
        # readline takes = for a word of its own
        words = [part for word in line.split(" ") for part in re.split("(=)", word) if part or not word]
        asked += [" ".join(map(shlex.quote, words)), line]
    return answers(run(place, [*SHELLS["bash"], "-c", ASK_BASH, "bash", library, script, *asked]))


def ask_fish(place, script, lines):
    return answers(run(place, [*SHELLS["fish"], "-c", ASK_FISH, script, *lines]))


def ask_zsh(place, script, lines):
    """Types the lines: completion exists in an interactive shell only."""
    ask, said = place.new_path("ask"), place.new_path("answers")
    ask.write_text(ASK_ZSH)
    said.touch()
    os.chown(said, ALICE, ALICE)
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *SHELLS["zsh"], "-i"], stdin=follower, stdout=follower, stderr=follower,
        user=ALICE, group=ALICE, extra_groups=[], cwd="/",
        env=environment(place, SCRIPT=str(script), ANSWERS=str(said)),
    )
    os.close(follower)
    os.set_blocking(leader, False)

    def answered(count):
        try:
            os.read(leader, 65536)  # or the shell would wait for its terminal
        except BlockingIOError:
            pass
        return said.read_text().count(f"{END}\n") == count

    try:
        for count, line in enumerate([f". {ask}\n", *(f"{line}\t" for line in lines)], 1):
            os.write(leader, line.encode())
            wait_until(lambda: answered(count), f"zsh answers {line}")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(leader)
    return answers(said.read_text())[1:]


ASK = {"bash": ask_bash, "zsh": ask_zsh, "fish": ask_fish}


@pytest.fixture(params=SHELLS)
def name(request):
    return request.param


@pytest.fixture
def script(place, netwatch, name):
    """The script of that shell, in a file."""
    client = netwatch("completion", name, socket=NO_SOCKET, uid=ALICE)
    assert client.wait() == 0 and not client.err.text(), client
    path = place.new_path(f"completion-{name}-")
    path.write_text(client.out.text())
    return path


# ------------------------------------------------------------------ the cases

FORMATS = {"table", "compact", "json", "csv", "pb"}

# What is offered, exactly.
CASES = {
    "netwatch st": {"status"},
    "netwatch -q s": {"subscribe", "status"},
    "netwatch frobnicate --o": {"--output"},
    "netwatch subscribe --o": {"--output"},
    "netwatch subscribe --du": {"--duration"},
    "netwatch list --du": set(),
    "netwatch -o json list --du": set(),
    "netwatch --socket /x list --du": set(),
    "netwatch --socket=/x list --du": set(),
    "netwatch --socket list --du": {"--duration"},
    "netwatch -qo list --du": {"--duration"},
    "netwatch -olist --du": {"--duration"},
    "netwatch status --l": set(),
    "netwatch completion --o": set(),
    "netwatch list --lp": {"--lport"},
    "netwatch -o ": FORMATS,
    "netwatch -qo c": {"compact", "csv"},
    "netwatch list --output=j": {"json"},
    "netwatch list --output=": FORMATS,
    "netwatch --color a": {"auto", "always"},
    "netwatch --time-format ": {"rfc3339", "unix", "mono", "delta"},
    "netwatch top --sort re": {"remote", "received", "retransmits", "recent"},
    "netwatch top --o": set(),
    "netwatch --role ": {"client", "server"},
    "netwatch --role client,s": {"server"},
    "netwatch --not --role c": {"client"},
    "netwatch --events conn": {"conn"},
    "netwatch --fields conn.ev": {"conn.event"},
    "netwatch list --fields time,conn.segs": {"conn.segs_in", "conn.segs_out"},
    "netwatch --fields=time,conn.ev": {"conn.event"},
    "netwatch --uid roo": {"root"},
    "netwatch -u daemon,roo": {"root"},
    "netwatch --socket {folder}/o": {"one.file", "other.d"},
    "netwatch list --netns={folder}/o": {"one.file", "other.d"},
    "netwatch --cgroup {folder}/o": {"other.d"},
    "netwatch -c ": set(),
    "netwatch --dport ": set(),
    "netwatch --duration ": set(),
    "netwatch completion ": {"bash", "zsh", "fish"},
    "netwatch -v completion z": {"zsh"},
    "netwatch completion fish ": set(),
    "netwatch list ": set(),
    "netwatch list -- ca": set(),
    "netwatch subscribe --events conn -- cat {folder}/on": {"one.file"},
}


def test_cases(place, name, script):
    folder = place.new_path("folder")
    (folder / "other.d").mkdir(parents=True)
    (folder / "one.file").touch()
    offered = ASK[name](place, script, [line.replace("{folder}", str(folder)) for line in CASES])
    if name == "zsh":  # it falls back on options
        offered = [{word for word in words if line.split(" ")[-1] or word[0] != "-"}
                   for line, words in zip(CASES, offered)]
    assert dict(zip(CASES, offered)) == CASES


def test_command_behind_dashes(place, name, script):
    """Also as the scripts are installed: with bash-completion, and loaded when needed."""
    lines = ["netwatch -- setpri", "netwatch -c 3 subscribe -- setpri", "netwatch -- setpriv --reui"]
    offered = ASK[name](place, script, lines)
    assert "setpriv" in offered[0] and "setpriv" in offered[1], offered
    if name == "bash":
        library = "/usr/share/bash-completion/bash_completion"
        offered = ask_bash(place, script, lines, library)
        assert "setpriv" in offered[0] and "setpriv" in offered[1], offered
        assert "--reuid" in offered[2], offered
    if name == "zsh":
        script = script.rename(place.path / "_netwatch")
        assert "setpriv" in ask_zsh(place, script, lines[:1])[0]


@pytest.fixture
def commands(netwatch):
    """Those of --help."""
    client = netwatch("--help", socket=NO_SOCKET)
    assert client.wait() == 0, client
    section = client.out.text().split("\nCommands:\n")[1].split("\n\n")[0]
    names = {line.split()[0] for line in section.splitlines()}
    assert {"subscribe", "list", "status", "fields", "completion"} <= names
    return names


def test_commands(place, name, script, commands):
    assert ASK[name](place, script, ["netwatch ", "netwatch -q "]) == [commands, commands]


def options_of_help(netwatch, *command):
    client = netwatch(*command, "--help", socket=NO_SOCKET)
    assert client.wait() == 0, client
    rows = re.findall(r"^ {2,6}(-.*?)(?:  .*)?$", client.out.text(), re.M)
    return {option for row in rows for option in re.findall(r"(?<!\S)--?[\w?-]+", row)}


def test_every_option(place, netwatch, name, script, commands):
    """Those of --help, of each command and of all."""
    asked = [[], *([command] for command in sorted(commands))]
    lines = [" ".join(["netwatch", *command, "-"]) for command in asked]
    for command, offered in zip(asked, ASK[name](place, script, lines)):
        assert offered == options_of_help(netwatch, *command), command


@pytest.mark.parametrize("name", ["fish"])
def test_descriptions(place, netwatch, name, script):
    """They are the text of --help, whatever quotes are in it."""
    said = run(place, [*SHELLS[name], "-c", ASK_FISH, script, "netwatch -"])
    client = netwatch("--help", socket=NO_SOCKET)
    assert client.wait() == 0, client
    text = " ".join(client.out.text().split())
    described = [line.split("\t") for line in said.splitlines() if "\t" in line]
    assert ["--extra", "add each connection's counters"] in described
    assert all(f" {description} " in text for option, description in described)


def test_syntax(place, name, script):
    run(place, [*SHELLS[name], SYNTAX[name], script])


def test_usage(netwatch):
    for arguments in ["completion", "xyz"], ["completion"], ["completion", ""]:
        client = netwatch(*arguments, socket=NO_SOCKET)
        assert client.wait() == 2, client
        assert all(name in client.err.text() for name in SHELLS), client
    client = netwatch("completion", "bash", "zsh", socket=NO_SOCKET)
    assert client.wait() == 2, client
    with open("/dev/full", "wb") as full:
        client = netwatch("completion", "bash", socket=NO_SOCKET, stdout=full)
        assert client.wait() == 5 and "space" in client.err.text(), client
