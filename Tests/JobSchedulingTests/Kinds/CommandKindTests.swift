import EventLoops
import Glibc
import JSON
import JobScheduling
import Services
import TestSupport
import Testing

/// Real programs, started as a worker starts them.
struct CommandKindTests {
    private let folder: FileFolder
    private let trial: KindTrial<CommandKind>

    init() throws {
        folder = try FileFolder()
        trial = KindTrial(["command-directory": folder.path])
    }

    @Test func itIsOffWithoutADirectory() async throws {
        let problem = try await KindTrial<CommandKind>().refusal(#"{"program":"a"}"#)
        #expect(problem?.kind == .impossible && problem?.field == "config.program")
        #expect(await KindTrial<CommandKind>(["command-directory": "/no/such/folder"]).isMade() == false)
        #expect(await KindTrial<CommandKind>(["command-directory": "/etc/passwd"]).isMade() == false)
    }

    @Test(arguments: [
        (#"{}"#, "program"), (#"{"program":"../a"}"#, "program"), (#"{"program":"a/b"}"#, "program"),
        (#"{"program":".."}"#, "program"), (#"{"program":"a","arguments":[1]}"#, "arguments[0]"),
        (#"{"program":"a","arguments":["b","\u0000"]}"#, "arguments[1]"), (#"{"program":"a","stdin":1}"#, "stdin"),
        (#"{"program":"a","environment":{"a":"b"}}"#, "environment.a"),
        (#"{"program":"a","environment":{"A=B":"b"}}"#, "environment.A=B"),
        (#"{"program":"a","environment":{"LD_PRELOAD":"b"}}"#, "environment.LD_PRELOAD"),
        (#"{"program":"a","environment":{"PATH":"b"}}"#, "environment.PATH"),
        (#"{"program":"a","environment":{"QM_TOKEN":"1"}}"#, "environment.QM_TOKEN"),
        (#"{"program":"a","environment":{"A":1}}"#, "environment.A"), (#"{"program":"a","shell":true}"#, "shell"),
    ])
    func whatCannotRunIsRefused(_ config: String, _ field: String) async throws {
        #expect(try await trial.refusal(config)?.field == "config." + field)
    }

    @Test func longInputIsRefused() async throws {
        let text = String(repeating: "x", count: 65_537)
        #expect(try await trial.refusal(#"{"program":"a","stdin":"\#(text)"}"#)?.field == "config.stdin")
    }

    @Test func argumentsAndInputArriveAsTheyAre() async throws {
        try folder.program("show", #"for a in "$@"; do echo "[$a]"; done; cat; echo oops >&2; pwd"#)
        let result = try await trial.run(
            #"{"program":"show","arguments":["a b","","$HOME;`id`","*","line\nline"],"stdin":"from us\n"}"#)
        #expect(result?["exitCode"] == .int(0))
        #expect(result?["stdout"]?.text == "[a b]\n[]\n[$HOME;`id`]\n[*]\n[line\nline]\nfrom us\n/\n")
        #expect(result?["stderr"]?.text == "oops\n")
        #expect(result?["stdoutCut"] == nil)
    }

    @Test func theEnvironmentIsNoneOfOurs() async throws {
        try folder.program("show", "exec env")
        setenv("QM_SECRET_OF_THE_WORKER", "x", 1)
        let result = try await trial.run(#"{"program":"show","environment":{"COLOUR":"a b"}}"#, attempt: 3)
        let lines = result?["stdout"]?.text?.split(separator: "\n").map(String.init) ?? []
        // The shell adds PWD by itself.
        #expect(
            Set(lines.filter { !$0.hasPrefix("PWD=") && !$0.hasPrefix("_=") && !$0.hasPrefix("SHLVL=") }) == [
                "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "COLOUR=a b", "QM_JOB_ID=default-000000000007",
                "QM_EXECUTION_ID=default-000000000007.42", "QM_FENCING_TOKEN=42", "QM_ATTEMPT=3",
            ])
    }

    /// hiredis and others open descriptors that stay open over exec.
    @Test func noDescriptorOfOursIsInherited() async throws {
        try folder.program("show", "ulimit -Sn; exec ls /proc/self/fd")
        let leaked = (0..<20).map { _ in open("/dev/null", O_RDONLY) }
        defer { for descriptor in leaked { close(descriptor) } }
        let lines = try await trial.run(#"{"program":"show"}"#)?["stdout"]?.text?.split(separator: "\n") ?? []
        // 0, 1, 2, and the folder that it lists.
        #expect(lines.dropFirst() == ["0", "1", "2", "3"])
        #expect(lines.first.flatMap { Int($0) }.map { $0 <= 1024 } == true, "\(lines)")
    }

    @Test(arguments: [(64, true), (65, true), (126, true), (127, true), (1, false), (75, false), (255, false)])
    func codesSayWhetherToTryAgain(_ code: Int, _ isPermanent: Bool) async throws {
        try folder.program("end", "echo why >&2; exit $1")
        let failure = try await trial.failure(#"{"program":"end","arguments":["\#(code)"]}"#)
        #expect(failure == JobFailure("exit code \(code): why", isPermanent: isPermanent))
    }

    @Test func aSignalIsAFailureThatMayPass() async throws {
        try folder.program("end", "kill -9 $$")
        #expect(try await trial.failure(#"{"program":"end"}"#) == JobFailure("ended by signal 9"))
    }

    @Test func whatIsNoProgramIsAFailureForGood() async throws {
        try folder.write("text", "hello")
        try folder.write("nonsense", "\u{7F}ELFno", mode: 0o755)
        mkdir(folder.path + "/folder", 0o755)
        folder.link("outside", to: "/bin/echo")
        folder.link("nowhere", to: "/no/such/file")
        for name in ["missing", "text", "nonsense", "folder", "outside", "nowhere"] {
            let failure = try await trial.failure(#"{"program":"\#(name)"}"#)
            #expect(failure?.isPermanent == true, "\(name): \(failure?.message ?? "ran")")
        }
    }

    @Test func aLinkThatStaysInsideIsFollowed() async throws {
        try folder.program("real", "echo \"$0\"")
        folder.link("alias", to: "real")
        #expect(try await trial.run(#"{"program":"alias"}"#)?["exitCode"] == .int(0))
    }

    @Test func outputIsCutAndSaid() async throws {
        try folder.program(
            "flood",
            "head -c 10000000 /dev/zero | tr '\\0' 'x'; head -c 65535 /dev/zero | tr '\\0' y >&2; printf 'é' >&2")
        let result = try await trial.run(#"{"program":"flood"}"#)
        #expect(result?["stdout"]?.text == String(repeating: "x", count: 65_536))
        #expect(result?["stdoutCut"] == .bool(true))
        #expect(result?["stderr"]?.text == String(repeating: "y", count: 65_535))
        #expect(result?["stderrCut"] == .bool(true))
    }

    @Test func bytesThatAreNoTextAreShownAsBroken() async throws {
        try folder.program("bytes", #"printf 'a\377b'"#)
        #expect(try await trial.run(#"{"program":"bytes"}"#)?["stdout"]?.text == "a\u{FFFD}b")
    }

    @Test func manyAtOnceLeaveNothingBehind() async throws {
        try folder.program("quick", "echo $1")
        _ = try await trial.run(#"{"program":"quick","arguments":["0"]}"#)
        let before = openDescriptors()
        try await withThrowingTaskGroup(of: String?.self) { group in
            for i in 0..<40 {
                group.addTask { [trial] in
                    try await trial.run(#"{"program":"quick","arguments":["\#(i)"]}"#)?["stdout"]?.text
                }
            }
            var seen: Set<String> = []
            for try await text in group { seen.insert(text ?? "") }
            #expect(seen.count == 40)
        }
        // Other tests open descriptors at the same time, but not four for each of ours.
        #expect(await eventually { openDescriptors() < before + 100 })
    }
}

private func openDescriptors() -> Int {
    guard let folder = opendir("/proc/self/fd") else { return 0 }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    return count
}
