import EventLoops
import Glibc
import JSON
import JobScheduling
import TestSupport
import Testing

/// Programs that are told to end, and what they leave.
struct CommandEndTests {
    private let folder: FileFolder
    private let trial: KindTrial<CommandKind>

    init() throws {
        folder = try FileFolder()
        trial = KindTrial(["command-directory": folder.path])
    }

    private func number(in name: String) -> pid_t? {
        folder.read(name).flatMap { pid_t($0.split(separator: "\n").first ?? "") }
    }

    private func isGone(_ pid: pid_t) -> Bool { kill(pid, 0) != 0 && errno == ESRCH }

    @Test func aProgramThatIsToldToEndMayTidyUp() async throws {
        try folder.program(
            "polite",
            "cd \(folder.path); trap 'echo tidy > tidied; exit 0' TERM; echo $$ > pid; while :; do sleep 0.01; done")
        await #expect(throws: JobCancelled.self) {
            try await trial.run(#"{"program":"polite"}"#, when: { [folder] in folder.has("pid") })
        }
        #expect(folder.read("tidied") == "tidy\n")
        let pid = try #require(number(in: "pid"))
        #expect(isGone(pid), "it was reaped")
    }

    /// It ignores the request, and so does what it has started.
    @Test func aProgramThatWillNotEndIsKilledWithItsGroup() async throws {
        try folder.program(
            "stubborn",
            "cd \(folder.path); trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > child; while :; do sleep 0.05; done' & "
                + "while [ ! -s child ]; do sleep 0.01; done; echo $$ > pid; while :; do sleep 0.05; done")
        let startUs = MonotonicClock.nowUs()
        await #expect(throws: JobCancelled.self) {
            try await trial.run(#"{"program":"stubborn"}"#, when: { [folder] in folder.has("pid") })
        }
        #expect(MonotonicClock.nowUs() - startUs >= 2_000_000)
        let (leader, child) = (try #require(number(in: "pid")), try #require(number(in: "child")))
        #expect(isGone(leader))
        // Its new parent reaps it in its own time.
        #expect(await eventually { isEnded(child) })
    }

    /// A child that keeps the pipes open does not keep the job.
    @Test func whatAProgramLeavesBehindEndsWithIt() async throws {
        try folder.program("leaver", "cd \(folder.path); sleep 600 & echo $! > child; echo done")
        #expect(try await trial.run(#"{"program":"leaver"}"#)?["stdout"]?.text == "done\n")
        let child = try #require(number(in: "child"))
        #expect(await eventually { isEnded(child) })
    }

    @Test func oneThatLeftTheGroupKeepsTheJobNoLonger() async throws {
        try folder.program("daemon", "cd \(folder.path); setsid sleep 5 & echo $! > child; echo done")
        #expect(try await trial.run(#"{"program":"daemon"}"#)?["stdout"]?.text == "done\n")
        if let child = number(in: "child") { kill(child, SIGKILL) }
    }

    @Test func anExecutionThatHasEndedStartsNothing() async throws {
        try folder.program("touch", "echo > \(folder.path)/ran")
        await #expect(throws: JobCancelled.self) {
            try await trial.run(#"{"program":"touch"}"#, endsAfterUs: 0)
        }
        #expect(!folder.has("ran"))
    }

    /// Gone, or a zombie that waits for its parent.
    private func isEnded(_ pid: pid_t) -> Bool {
        guard let descriptor = Optional(open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)), descriptor >= 0 else {
            return true
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return true }
        let text = String(decoding: bytes.prefix(count), as: UTF8.self)
        return text.split(separator: ")").last?.hasPrefix(" Z") == true
    }
}
