import EventLoops
import Glibc
import TestSupport
import Testing

/// What stands in deploy/ is taken by the programs it is for.
extension Fleet {
    @Suite(.serialized) struct ShippedFilesTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        @Test func scriptsAreClean() async throws {
            let scripts = try await Tool.run(
                "grep", "-rlE", "--exclude-dir=__pycache__", "^#(!/usr/bin/env bash| shellcheck shell=bash)", "deploy",
                ".ci")
            let paths = scripts.output.split(separator: "\n").map(String.init)
            #expect(paths.count >= 10)
            let shellcheck = try await Tool.run(["shellcheck", "-x"] + paths)
            #expect(shellcheck.code == 0, "\(shellcheck.said)")
        }

        @Test(arguments: ["fleet.conf", "auth_request.conf", "README.md"])
        func nginxTakesItsFiles(_ name: String) async throws {
            let given = try name == "README.md" ? Site.readmeLines() : Tree.text("deploy/nginx/\(name)")
            let lines = given.replacing("listen 127.0.0.1:8000;", with: "listen 127.0.0.1:\(try freePort());")
            try Tree.write(lines, to: folder.path + "/lines.conf")
            try Tree.write(
                "pid \(folder.path)/pid; events {} http { access_log off; include \(folder.path)/lines.conf; }\n",
                to: folder.path + "/nginx.conf")
            let nginx = try await Tool.run("nginx", "-t", "-e", "stderr", "-c", folder.path + "/nginx.conf")
            #expect(nginx.code == 0 && !nginx.errors.contains("[warn]"), "\(nginx.said)")
        }

        @Test func haproxyTakesItsFile() async throws {
            let haproxy = try await Tool.run("haproxy", "-c", "-f", "deploy/haproxy/haproxy.cfg")
            #expect(haproxy.code == 0 && !haproxy.said.contains("[WARNING]"), "\(haproxy.said)")
        }

        @Test(arguments: ["quartermaster@", "quartermaster-worker@"])
        func systemdTakesItsUnits(_ name: String) async throws {
            // verify looks for the program where the unit says it is.
            let unit = try Tree.text("deploy/systemd/\(name).service")
                .replacing("/usr/local/bin/quartermaster", with: try Tree.executable)
            let path = folder.path + "/\(name)8081.service"
            try Tree.write(unit, to: path)
            let verify = try await Tool.run("systemd-analyze", "verify", "--man=no", path)
            #expect(verify.code == 0 && verify.said.isEmpty, "\(verify.said)")
            // Its own measure of how much a service may do beyond what it needs: 0 is nothing, 10 is everything (× 10).
            let security = try await Tool.run("systemd-analyze", "security", "--offline=yes", "--threshold=15", path)
            #expect(security.code == 0, "\(security.said)")
            // The program takes the command line.
            let start = try #require(unit.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
            try Tree.write("redis://server:geheim@127.0.0.1:6379\n", to: folder.path + "/redis-url")
            let digest = String(repeating: "0", count: 64)
            try Tree.write("ops admin \(digest)\n", to: folder.path + "/tokens")
            let words = start.dropFirst("ExecStart=".count).replacing("%d", with: folder.path).replacing(
                "%i", with: "8081"
            )
            .replacing("/etc/quartermaster", with: folder.path).split(separator: " ").map(String.init)
            let program = try await Tool.run(words + ["--print-config"])
            #expect(program.code == 0 && program.output.contains("127.0.0.1:6379"), "\(program.said)")
            #expect(!program.said.contains("geheim"))
        }

        /// YAML against the schemas beside this file, and what the parts of a manifest say of each other.
        @Test func manifestsAreWellFormed() async throws {
            // Where a Python of the user's own comes first, Debian's has the modules.
            var python = "/usr/bin/python3"
            if try await Tool.run("python3", "-c", "import yaml, jsonschema").code == 0 { python = "python3" }
            let check = try await Tool.run(python, "-B", "Tests/FleetTests/Deploy/Manifests/check.py", Tree.root)
            #expect(check.code == 0, "\(check.said)")
        }

        /// Whom to believe is nobody's guess: what the manifest says has to be replaced before anything starts.
        @Test func whoIsBelievedHasToBeSaid() async throws {
            let lines = try Tree.text("deploy/kubernetes/server.yaml").split(separator: "\n")
            let line = try #require(lines.first { $0.contains("name: QM_TRUSTED_PROXIES") })
            let value = try #require(line.split(separator: " ").last).filter { $0 != "}" }
            let words = ["env", "QM_TRUSTED_PROXIES=\(value)", try Tree.executable, "check-config"]
            let program = try await Tool.run(words)
            #expect(program.code == 78 && program.said.contains(value), "\(program.said)")
            #expect(program.said.contains("TRUSTED_PROXIES") || program.said.contains("trusted-proxies"))
            let nobody = try await Tool.run(["env", "QM_TRUSTED_PROXIES=", try Tree.executable, "check-config"])
            #expect(nobody.code == 0, "\(nobody.said)")
        }

        @Test func theImagesProgramAnswersItsOwnHealthCheck() async throws {
            let lines = try Tree.text("deploy/docker/Dockerfile")
            #expect(lines.contains(#"CMD ["quartermaster", "health"]"#) && lines.contains("USER 65532:65532"))
            let help = try await Tool.run(try Tree.executable, "health", "--help")
            #expect(help.code == 0 && help.output.contains("--live"))
        }
    }
}
