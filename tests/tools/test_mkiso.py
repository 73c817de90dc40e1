# SPDX-License-Identifier: MIT
"""tools/mkiso: good descriptions become the right menu, bad ones one line each."""
import gzip
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from soclelib import description, regex

MKISO = Path("tools/mkiso").resolve()


class Mkiso(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        for name in ("socle.elf", "kernel", "initrd"):
            (self.path / name).write_text(name)

    def tearDown(self):
        self.folder.cleanup()

    def mkiso(self, *texts, args=()):
        names = []
        for number, text in enumerate(texts):
            names.append(f"{number}.vm")
            (self.path / names[-1]).write_text(text)
        return subprocess.run([MKISO, *names, "-o", "out.iso", "--socle", "socle.elf", "--menu",
                               *args], cwd=self.path, capture_output=True, text=True, check=False)

    def menu(self, *texts, args=()):
        done = self.mkiso(*texts, args=args)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, text, *words):
        done = self.mkiso(text)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr, r"\Amkiso: [^\n]*\n\Z")
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertFalse((self.path / "out.iso").exists())

    def test_expressions(self):
        """The same are refused as by vm/regex.c, in the same words; the rest comes out as it was."""
        right = 0
        for line in Path("tests/unit/regex.txt").read_text().splitlines():
            words, bar, expression = line.partition(" | ")
            if not bar or line.startswith("#"):
                continue
            at, _, what = words.partition(" ")
            try:
                regex.check(expression)
                self.assertEqual(at, "0", line)
                right += 1
            except regex.Bad as error:
                self.assertTrue(str(error).startswith(f"at {at}: {what}"), f"{line}: {error}")
        self.assertGreater(right, 10)

    def test_verdict_keys(self):
        menu = self.menu("[a]\nkernel = kernel\nexpect = \"a \\\"b\\\" 5% c\\\\d'\"\npass-code = 0x10\n"
                         "on-end = restart\nlimit = 5\n")
        self.assertIn("'a' 'limit=5' 'expect=a%20%22b%22%205%25%20c%5cd%27' 'pass-code=0x10' "
                      "'on-end=restart'", menu)

    def test_bad_verdict_keys(self):
        self.refused("[a]\nkernel = kernel\nexpect = a(b\n", "[a] expect", "at 2: '(' without ')'")
        self.refused(f"[a]\nkernel = kernel\nexpect = {'x' * 121}\n", "121", "120 or fewer")
        self.refused("[a]\nkernel = kernel\npass-code = 0x100000000\n", "pass-code", "0xffffffff")
        self.refused("[a]\nkernel = kernel\non-end = pause\n", "on-end", "stop, restart")

    def test_modules_in_order(self):
        menu = self.menu("[a]\nkernel = kernel\ninitrd = initrd\nmemory = 64M\ncpus = 1\n"
                         "timeout = 9\nmodule = initrd one two\n[b]\nkernel = kernel\n")
        lines = re.findall(r"module2 (.*)", menu)
        self.assertEqual(lines, [
            "'/vm/kernel' 'kernel' 'a' 'memory=64M' 'cpus=1' 'timeout=9'",
            "'/vm/initrd' 'initrd' 'a'",
            "'/vm/initrd' 'module' 'a' '--' 'one' 'two'",
            "'/vm/kernel' 'kernel' 'b'"])

    def test_firmware_with_a_vga_bios(self):
        self.refused("[a]\nkernel = kernel\nvgabios = initrd\n", "vgabios", "want firmware")
        menu = self.menu("[a]\nfirmware = kernel\nvgabios = initrd\nconsole = vga\n")
        self.assertEqual(re.findall(r"module2 (.*)", menu), [
            "'/vm/kernel' 'firmware' 'a' 'console=vga'", "'/vm/initrd' 'vgabios' 'a'"])

    def test_firmware_that_starts_a_kernel(self):
        menu = self.menu("[a]\nfirmware = initrd\nkernel = kernel\ncmdline = x\n")
        self.assertEqual(re.findall(r"module2 (.*)", menu), [
            "'/vm/kernel' 'kernel' 'a' '--' 'x'", "'/vm/initrd' 'firmware' 'a'"])

    def test_symbols_are_a_module(self):
        menu = self.menu("[a]\nsymbols = initrd\nkernel = kernel\n")
        self.assertEqual(re.findall(r"module2 (.*)", menu), [
            "'/vm/kernel' 'kernel' 'a'", "'/vm/initrd' 'symbols' 'a'"])

    def test_order_of_keys_does_not_matter(self):
        menu = self.menu("[a]\ncmdline = quiet\nmemory = 64M\nkernel = kernel\n")
        self.assertIn("'/vm/kernel' 'kernel' 'a' 'memory=64M' '--' 'quiet'", menu)

    def test_names_of_functions(self):
        self.assertNotIn("socle-symbols", self.menu("[a]\nkernel = kernel\n"))
        (self.path / "socle.symbols").write_text("00100000 T boot_start\n")
        self.assertEqual(
            self.menu("[a]\nkernel = kernel\n", "[b]\nkernel = kernel\n").count(
                "\tmodule2 '/boot/socle.symbols' socle-symbols\n"), 2)

    def test_entry_that_boots(self):
        texts = [f"[socle]\ntitle = {name} one\nargs = vms=in-turn\n[a]\nkernel = kernel\n"
                 for name in ("first", "second")]
        self.assertIn("set default=0\n", self.menu(*texts))
        menu = self.menu(*texts, args=["--entry", "second one", "--socle-args", "log=debug"])
        self.assertIn("set default=1\n", menu)
        self.assertIn("'/boot/socle.elf' 'log=debug' 'vms=in-turn'\n", menu)
        done = self.mkiso(*texts, args=["--entry", "third"])
        self.assertEqual(done.returncode, 2)
        self.assertIn("no 'third'; want one of first one, second one", done.stderr)

    def test_entry_for_each_file(self):
        menu = self.menu("[a]\nkernel=kernel\n",
                         "[socle]\ntitle = It's b\nargs = log=debug\n[b]\nkernel=kernel\n",
                         args=["--socle-args", "at-end=wait"])
        self.assertIn("menuentry '0' {", menu)
        self.assertIn("menuentry 'It'\\''s b' {", menu)
        self.assertIn("multiboot2 '/boot/socle.elf' 'at-end=wait' 'log=debug'", menu)
        self.assertIn("set default=0", menu)

    def test_comments_and_quotes(self):
        menu = self.menu('# first\n; second\n[a] # third\nkernel = kernel ; fourth\n'
                         'cmdline = "x # y \\"z\\"" # fifth\n')
        self.assertIn("-- 'x' '#' 'y' '\"z\"'\n".replace("--", "'--'"), menu)

    def test_same_name_of_two_files(self):
        (self.path / "other").mkdir()
        (self.path / "other" / "kernel").write_text("another")
        menu = self.menu("[a]\nkernel = kernel\ninitrd = other/kernel\n")
        self.assertIn("'/vm/kernel' 'kernel' 'a'", menu)
        self.assertIn("'/vm/2-kernel' 'initrd' 'a'", menu)

    def test_same_input_same_iso(self):
        text = "[a]\nkernel = kernel\n"
        self.menu(text)
        first = (self.path / "out.iso").read_bytes()
        time.sleep(1.1)  # No date of today's is in it.
        self.menu(text)
        self.assertEqual(first, (self.path / "out.iso").read_bytes())

    def test_iso_is_hybrid(self):
        self.menu("[a]\nkernel = kernel\n")
        image = (self.path / "out.iso").read_bytes()
        self.assertEqual(image[510:512], b"\x55\xaa")
        # El Torito: a boot record, platform 0 (BIOS) and section header of platform 0xEF (EFI).
        self.assertEqual(image[17 * 2048 + 7:17 * 2048 + 30], b"EL TORITO SPECIFICATION")
        catalog = int.from_bytes(image[17 * 2048 + 71:17 * 2048 + 75], "little") * 2048
        self.assertEqual(image[catalog + 1], 0)
        self.assertEqual(image[catalog + 65], 0xEF)

    def test_raw_lines(self):
        (self.path / "raw").write_text("kernel kernel a bad=key -- x\n")
        done = subprocess.run([MKISO, "--raw", "raw", "-o", "out.iso", "--socle", "socle.elf",
                               "--menu"], cwd=self.path, capture_output=True, text=True, check=False)
        self.assertIn("module2 '/vm/kernel' 'kernel' 'a' 'bad=key' '--' 'x'", done.stdout)

    def test_unknown_key(self):
        self.refused("[a]\nkernel = kernel\ncolour = red\n", "0.vm:3", "[a] colour", "want one of")

    def test_unknown_socle_key(self):
        self.refused("[socle]\ncpus = 1\n", "0.vm:2", "[socle] cpus", "title, args")

    def test_missing_file(self):
        self.refused("[a]\nkernel = nothing\n", "0.vm:2", "[a] kernel", "nothing: no such file")

    def test_folder_as_file(self):
        self.refused("[a]\nkernel = .\n", "[a] kernel", "is a directory")

    def test_bad_memory(self):
        for bad in ("0M", "-1M", "12", "12T", "1.5G", "M", "0x10M", "9999999999M"):
            self.refused(f"[a]\nkernel = kernel\nmemory = {bad}\n", "[a] memory", bad, "256M")

    def test_bad_number(self):
        for bad in ("0", "-1", "two", "65", "1e3"):
            self.refused(f"[a]\nkernel = kernel\ncpus = {bad}\n", "[a] cpus", "want a number")

        for key, top in (("weight", 10000), ("restarts", 60)):
            for bad in ("0", str(top + 1), "-1", "1.5", "many"):
                self.refused(f"[a]\nkernel = kernel\n{key} = {bad}\n", f"0.vm:3: [a] {key}",
                             f"'{bad}'", f"1 to {top}")

    def test_keys_of_scheduling_and_life(self):
        menu = self.menu("[a]\nkernel = kernel\npin = 1, 2,63\nweight = 10000\ncap = 25%\n"
                         "autostart = no\ndepends = b\non-crash = restart\nrestarts = 60\n"
                         "[b]\nkernel = kernel\ncap = 100\nautostart = yes\nconsole = vga\n")
        lines = re.findall(r"module2 (.*)", menu)
        self.assertEqual(lines, [
            "'/vm/kernel' 'kernel' 'a' 'pin=1,2,63' 'weight=10000' 'cap=25%' 'autostart=no' "
            "'depends=b' 'on-crash=restart' 'restarts=60'",
            "'/vm/kernel' 'kernel' 'b' 'cap=100' 'autostart=yes' 'console=vga'"])

    def test_bad_pin(self):
        for bad in ("64", "-1", "1,", ",1", "1,,2", "all", "1 2", "0x1"):
            self.refused(f"[a]\nkernel = kernel\npin = {bad}\n", "0.vm:3: [a] pin", bad, "1,2")

    def test_bad_cap(self):
        for bad in ("0", "0%", "%", "25%%", "-1", "1.5", "9999"):
            self.refused(f"[a]\nkernel = kernel\ncap = {bad}\n", "0.vm:3: [a] cap", bad, "percent")

    def test_cap_of_more_than_its_cpus(self):
        reader = description._Reader(Path("x.vm"))
        section = [(7, "cap", "101%")]
        reader.section = "a"
        with self.assertRaisesRegex(Exception, r"x\.vm:7: \[a\] cap: '101%' .*want 100% or less"):
            reader.check_cap(section, {"cap": "101%"})
        with self.assertRaisesRegex(Exception, "want 300% or less"):
            reader.check_cap(section, {"cap": "301", "cpus": "3"})
        reader.check_cap(section, {"cap": "300%", "cpus": "3"})

    def test_bad_words(self):
        self.refused("[a]\nkernel = kernel\non-crash = explode\n", "[a] on-crash", "'explode'",
                     "stop, restart, pause")
        self.refused("[a]\nkernel = kernel\nautostart = 1\n", "[a] autostart", "'1'", "yes, no")

    def test_bad_dependency(self):
        self.refused("[a]\nkernel = kernel\ndepends = b c\n", "0.vm:3: [a] depends", "'b c'")
        self.refused("[a]\nkernel = kernel\ndepends = b\n[c]\nkernel = kernel\n",
                     "0.vm:3: [a] depends", "'b' is no VM", "a, c")
        self.refused("[a]\nkernel = kernel\ndepends = a\n", "0.vm:3: [a] depends", "a -> a")
        self.refused("[o]\nkernel = kernel\ndepends = b\n[a]\nkernel = kernel\ndepends = c\n"
                     "[b]\nkernel = kernel\ndepends = a\n[c]\nkernel = kernel\ndepends = b\n",
                     "0.vm:6: [a] depends", "circle: a -> c -> b -> a")

    def test_limits_are_those_of_the_hypervisor(self):
        text = Path("vm/config.h").read_text()
        limits = {name: int(value) for name, value in
                  re.findall(r"#define CONFIG_(\w+)\s+(\d+)\b", text)}
        self.assertEqual(description.CPUS_MAX, limits["CPUS_MAX"])
        for name in ("CORES_MAX", "WEIGHT_MAX", "RESTARTS_MAX", "TIMEOUT_MAX"):
            self.assertEqual(getattr(description, name), limits[name])
        self.assertTrue(description.NAME.match("a" * limits["NAME_MAX"]))
        self.assertFalse(description.NAME.match("a" * (limits["NAME_MAX"] + 1)))

    def test_bad_boot(self):
        self.refused("[a]\nkernel = kernel\nboot = magic\n", "[a] boot", "linux, multiboot")

    def test_flat(self):
        menu = self.menu("[a]\nkernel = kernel\nboot = flat16\nload = 0x7c00\nentry = 32K\n")
        self.assertIn("'kernel' 'a' 'boot=flat16' 'load=0x7c00' 'entry=32K'", menu)
        (self.path / "out.iso").unlink()
        self.refused("[a]\nkernel = kernel\nload = 1M\n", "0.vm:3: [a] load",
                     "want boot = flat16, flat32, flat64")
        self.refused("[a]\nkernel = kernel\nboot = pvh\nentry = 1M\n", "0.vm:4: [a] entry",
                     "flat16")
        self.refused("[a]\nkernel = kernel\nboot = flat32\nload = high\n", "0.vm:4: [a] load",
                     "such as 0x100000")

    def test_packed_kernel(self):
        """It goes onto the ISO unpacked, under its name; what depends on it names the file itself."""
        packed = self.path / "xen.gz"
        packed.write_bytes(gzip.compress(b"a kernel"))
        menu = self.menu("[a]\nkernel = xen.gz\nmodule = xen.gz\n[b]\nkernel = xen.gz\n",
                         args=("--depend", "out.d"))
        self.assertEqual(re.findall(r"module2 (.*)", menu), [
            "'/vm/xen' 'kernel' 'a'", "'/vm/xen.gz' 'module' 'a'", "'/vm/xen' 'kernel' 'b'"])
        self.assertIn(str(packed.resolve()), (self.path / "out.d").read_text())
        self.assertNotIn("mkiso-", (self.path / "out.d").read_text())
        subprocess.run(["xorriso", "-osirrox", "on", "-indev", "out.iso", "-extract", "/vm/xen",
                        "xen.out"], cwd=self.path, capture_output=True, check=True)
        self.assertEqual((self.path / "xen.out").read_bytes(), b"a kernel")
        packed.write_bytes(packed.read_bytes()[:12])
        (self.path / "out.iso").unlink()
        self.refused("[a]\nkernel = xen.gz\n", "xen.gz", "cannot be unpacked")

    def test_no_kernel(self):
        self.refused("[a]\nmemory = 4M\n", "0.vm:1", "[a]", "has no kernel")

    def test_two_of_one_name(self):
        self.refused("[a]\nkernel=kernel\n[a]\nkernel=kernel\n", "0.vm:3", "[a]", "line 1")

    def test_key_twice(self):
        self.refused("[a]\nkernel = kernel\nkernel = kernel\n", "0.vm:3", "[a] kernel", "twice")

    def test_bad_name(self):
        self.refused("[a b]\nkernel = kernel\n", "'a b'", "letters")
        self.refused(f"[{'a' * 32}]\nkernel = kernel\n", "1 to 31")

    def test_no_vm(self):
        self.refused("# nothing\n", "no virtual machine")

    def test_key_before_section(self):
        self.refused("kernel = kernel\n", "0.vm:1", "before the first section")

    def test_neither_section_nor_key(self):
        self.refused("[a]\nkernel\n", "0.vm:2", "neither")

    def test_no_value(self):
        self.refused("[a]\nkernel =\n", "[a] kernel", "no value")

    def test_control_character(self):
        self.refused("[a]\nkernel = kernel\ncmdline = a\x07b\n", "[a] cmdline", "printable")

    def test_unended_quote(self):
        self.refused('[a]\nkernel = kernel\ncmdline = "a\n', "[a] cmdline", "must end")

    def test_no_such_description(self):
        done = subprocess.run([MKISO, "no.vm", "-o", "out.iso"], cwd=self.path,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no.vm: No such file", done.stderr)

    def test_binary_description(self):
        (self.path / "b.vm").write_bytes(b"\xff\xfe\x00")
        done = subprocess.run([MKISO, "b.vm", "-o", "out.iso"], cwd=self.path,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("b.vm: is not UTF-8", done.stderr)
