# A user at a terminal: terminal.py 80x24 <step...> -- <command...>. Steps: wait:<text> until it is printed, send:<keys>, size:100x30,
# kill:<signal>. Prints what was on the screen and "[exit 3, restored]", or "..., raw]" when the terminal was left as the command had it.
import fcntl, os, pty, select, struct, sys, termios


def window(fd, size):
    width, height = size.split("x")
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(height), int(width), 0, 0))


at = sys.argv.index("--")
steps, command = sys.argv[2:at], sys.argv[at + 1:]
master, slave = pty.openpty()
window(master, sys.argv[1])
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.execvp(command[0], command)
screen, seen, status = b"", 0, None


def look():
    """Takes what is printed; False when the command has ended and all is read."""
    global screen, status
    if select.select([master], [], [], 0.1)[0]:
        screen += os.read(master, 65536)
        return True
    if status is None:
        ended, code = os.waitpid(pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if ended else None
        return True
    return False


for step in steps:
    what, _, value = step.partition(":")
    if what == "wait":
        while value.encode() not in screen[seen:]:
            if not look():
                sys.exit("never printed: %s\n%s" % (value, screen.decode(errors="replace")))
        seen = screen.index(value.encode(), seen) + len(value)
    elif what == "send":
        os.write(master, value.encode().decode("unicode_escape").encode())
    elif what == "size":
        window(master, value)
    elif what == "kill":
        os.kill(pid, int(value))
while look():
    pass
print(screen.decode(errors="replace").replace("\r", ""))
print("[exit %d, %s]" % (status, "restored" if termios.tcgetattr(slave) == before else "raw"))
