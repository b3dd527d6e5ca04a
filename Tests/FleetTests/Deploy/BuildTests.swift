import Glibc
import TestSupport
import Testing

/// How releases are built: so that the program runs wherever it is copied to, without a toolchain.
extension Fleet {
    @Suite(.serialized) struct BuildTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        /// A `swift` that writes down what it is told, and whose build is a copy of `program`.
        private func build(_ program: String) async throws -> (tool: Tool, told: [String]) {
            try Tree.write(
                """
                #!/bin/sh
                echo "$@" >>\(folder.path)/told
                case "$*" in
                  *--show-bin-path*) echo \(folder.path) ;;
                  *) cp \(program) \(folder.path)/quartermaster ;;
                esac

                """, to: folder.path + "/swift")
            chmod(folder.path + "/swift", 0o755)
            let tool = try await Tool.run(
                "bash", "-c", ". deploy/common.sh; PATH=\(folder.path):$PATH; build_release quartermaster")
            return (tool, try Tree.read(folder.path + "/told").split(separator: "\n").map(String.init))
        }

        @Test func swiftsLibrariesGoIntoARelease() async throws {
            let (tool, told) = try await build("/bin/true")
            #expect((tool.code, tool.output) == (0, folder.path + "/quartermaster\n"), "\(tool.said)")
            #expect(told.count == 2 && told.allSatisfy { $0.contains("-c release --static-swift-stdlib") }, "\(told)")
            // The image's, too.
            let lines = try Tree.text("deploy/docker/Dockerfile").split(separator: "\n")
            let builds = lines.filter { $0.contains("swift build") }
            #expect(builds.count == 2 && builds.allSatisfy { $0.contains("--static-swift-stdlib") })
        }

        /// One that would need the toolchain where it runs is no release. The program under test is such a one.
        @Test func aProgramThatNeedsTheToolchainIsRefused() async throws {
            let (tool, _) = try await build(try Tree.executable)
            #expect(tool.code == 1 && tool.output.isEmpty, "\(tool.said)")
            #expect(tool.errors.contains("libswiftCore"), "\(tool.said)")
        }
    }
}
