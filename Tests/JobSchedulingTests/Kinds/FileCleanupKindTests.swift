import EventLoops
import Glibc
import JSON
import JobScheduling
import Services
import TestSupport
import Testing

/// Real files in a folder of the test's own.
struct FileCleanupKindTests {
    private let folder: FileFolder
    private let trial: KindTrial<FileCleanupKind>

    init() throws {
        folder = try FileFolder()
        mkdir(folder.path + "/root", 0o755)
        trial = KindTrial(["cleanup-root": folder.path + "/root"])
    }

    @Test func itIsOffWithoutARoot() async throws {
        let problem = try await KindTrial<FileCleanupKind>().refusal(#"{"path":"a","olderThanMs":0}"#)
        #expect(problem?.kind == .impossible && problem?.field == "config.path")
        #expect(await KindTrial<FileCleanupKind>(["cleanup-root": folder.path + "/none"]).isMade() == false)
    }

    @Test(arguments: [
        (#"{"olderThanMs":0}"#, "path"), (#"{"path":"a"}"#, "olderThanMs"),
        (#"{"path":"../a","olderThanMs":0}"#, "path"), (#"{"path":"/etc","olderThanMs":0}"#, "path"),
        (#"{"path":"a//b","olderThanMs":0}"#, "path"), (#"{"path":"a/./b","olderThanMs":0}"#, "path"),
        (#"{"path":"a/","olderThanMs":0}"#, "path"), (#"{"path":"a/..","olderThanMs":0}"#, "path"),
        (#"{"path":"a","olderThanMs":-1}"#, "olderThanMs"), (#"{"path":"a","olderThanMs":"old"}"#, "olderThanMs"),
        (#"{"path":"a","olderThanMs":0,"pattern":"a/*"}"#, "pattern"),
        (#"{"path":"a","olderThanMs":0,"maxFiles":0}"#, "maxFiles"),
        (#"{"path":"a","olderThanMs":0,"force":true}"#, "force"),
    ])
    func wrongConfigsAreRefused(_ config: String, _ field: String) async throws {
        #expect(try await trial.refusal(config)?.field == "config." + field)
    }

    @Test func oldFilesThatMatchGoAndOthersStay() async throws {
        try folder.write("root/logs/old.log", "12345", ageS: 100_000)
        try folder.write("root/logs/new.log", "123")
        try folder.write("root/logs/old.txt", "1", ageS: 100_000)
        try folder.write("root/logs/below/old.log", "1", ageS: 100_000)
        let config = #"{"path":"logs","olderThanMs":"1d","pattern":"*.log","dryRun":DRY}"#
        let dry = try await trial.run(config.replacing("DRY", with: "true"))
        #expect(
            try dry == JSONValue(#"{"matched":1,"deleted":0,"bytes":5,"failed":0,"names":["old.log"],"dryRun":true}"#))
        #expect(folder.has("root/logs/old.log"))
        let wet = try await trial.run(config.replacing("DRY", with: "false"))
        #expect(
            try wet == JSONValue(#"{"matched":1,"deleted":1,"bytes":5,"failed":0,"names":["old.log"],"dryRun":false}"#))
        #expect(!folder.has("root/logs/old.log"))
        for name in ["new.log", "old.txt", "below/old.log"] { #expect(folder.has("root/logs/" + name), "\(name)") }
    }

    @Test func foldersBelowAreEnteredWhenAskedTo() async throws {
        for name in ["a", "b/a", "b/c/a", "b/c/b"] { try folder.write("root/" + name, "x") }
        let result = try await trial.run(#"{"path":".","olderThanMs":0,"pattern":"a","recursive":true}"#)
        #expect(Set(result?["names"]?.elements.compactMap(\.text) ?? []) == ["a", "b/a", "b/c/a"])
        #expect(folder.has("root/b/c/b"))
    }

    /// Links to files and folders outside, on the way, at the end and among what is cleaned.
    @Test func linksLeadNowhere() async throws {
        try folder.write("outside/precious", "x", ageS: 1000)
        folder.link("root/folder", to: folder.path + "/outside")
        folder.link("root/file", to: folder.path + "/outside/precious")
        let result = try await trial.run(#"{"path":".","olderThanMs":0,"recursive":true}"#)
        #expect(result?["matched"] == .int(0))
        for path in ["folder", "folder/deeper"] {
            let failure = try await trial.failure(#"{"path":"\#(path)","olderThanMs":0}"#)
            #expect(failure?.isPermanent == true, "\(path)")
        }
        #expect(folder.has("outside/precious") && folder.has("root/folder") && folder.has("root/file"))
    }

    @Test func noMoreThanAskedFor() async throws {
        for i in 0..<130 { try folder.write("root/f\(i)") }
        let first = try await trial.run(#"{"path":".","olderThanMs":0,"maxFiles":120}"#)
        #expect(first?["deleted"] == .int(120) && first?["more"] == .bool(true))
        #expect(first?["names"]?.elements.count == 100)
        let second = try await trial.run(#"{"path":".","olderThanMs":0,"maxFiles":10}"#)
        #expect(second?["deleted"] == .int(10) && second?["more"] == nil)
    }

    @Test func aFolderThatIsNotThereIsAFailureForGood() async throws {
        let failure = try await trial.failure(#"{"path":"none","olderThanMs":0}"#)
        #expect(failure?.isPermanent == true && failure?.message.hasPrefix("none: ") == true)
    }

    @Test func itStopsWhenItIsToldTo() async throws {
        for i in 0..<3000 { try folder.write("root/f\(i)") }
        let heard = Journal<JSONValue?>()
        await #expect(throws: JobCancelled.self) {
            try await trial.run(
                #"{"path":".","olderThanMs":0}"#, when: { true },
                heard: { heard.add($0) })
        }
        let rest = (0..<3000).count { folder.has("root/f\($0)") }
        #expect(rest > 0 && rest < 3000, "\(rest)")
        #expect(heard.all.first??["deleted"] != nil)
    }

    @Test func allThatIsOpenIsClosed() async throws {
        for i in 0..<300 { try folder.write("root/d\(i)/f") }
        let before = openDescriptors(below: folder.path)
        _ = try await trial.run(#"{"path":".","olderThanMs":0,"recursive":true,"maxFiles":5}"#)
        #expect(openDescriptors(below: folder.path) == before)
    }

    /// Descriptors of this process that are open on something below `path`.
    private func openDescriptors(below path: String) -> Int {
        (0..<4096).count { number in
            var target = [CChar](repeating: 0, count: 4096)
            let length = readlink("/proc/self/fd/\(number)", &target, target.count - 1)
            guard length > 0 else { return false }
            return String(decoding: target.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix(path)
        }
    }
}
