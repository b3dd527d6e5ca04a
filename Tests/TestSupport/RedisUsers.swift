import Glibc

/// The users of `deploy/redis/users.acl` in the tests' own servers: with `QM_TEST_ACL=1` in the environment Quartermaster is
/// let in as `server` or `worker`, and so may do there what the file says and nothing else. What tests do behind its back,
/// they do as the default user, who may do everything.
enum RedisUsers {
    static let areOn = Environment["QM_TEST_ACL"] == "1"

    /// What stands before the host or path of a URL: `server:test-server@`.
    static func credentials(_ user: String) -> String { areOn ? "\(user):test-\(user)@" : "" }

    /// Arguments of redis-server, whose file is written into `folder`.
    static func arguments(in folder: String) throws -> [String] {
        guard areOn else { return [] }
        let path = folder + "/users.acl"
        guard let file = fopen(path, "w") else { throw SetUpFailure("cannot write \(path)") }
        defer { fclose(file) }
        fputs("user default on nopass ~* &* +@all\n", file)
        for line in try lines() where !line.hasPrefix("user default ") {
            let user = adapted(line)
            fputs(user + "\n", file)
            guard user.hasPrefix("user server ") else { continue }
            fputs(user.replacing("server", with: "looking") + " +@read\n", file)
        }
        return ["--aclfile", path]
    }

    /// The file's line with a password that tests know, and with the prefixes of tests (`t7:`) beside `qm:`.
    private static func adapted(_ line: Substring) -> String {
        let words = line.split(separator: " ")
        return words.flatMap { word in
            if word.hasPrefix("#") { return [">test-\(words[1])"] }
            guard word.contains("~qm:") || word.contains("&qm:") else { return [String(word)] }
            // The last word of a selector closes it: `(+xadd ~qm:audit)`.
            let end = word.hasSuffix(")") ? ")" : ""
            let pattern = String(word.dropLast(end.count))
            return [pattern, pattern.replacing("qm:", with: "t[0-9]*:") + end]
        }.joined(separator: " ")
    }

    private static func lines() throws -> [Substring] {
        // Tests/TestSupport/RedisUsers.swift
        var root = #filePath[...]
        for _ in 0..<3 { root = root[..<(root.lastIndex(of: "/") ?? root.startIndex)] }
        let path = root + "/deploy/redis/users.acl"
        guard let file = fopen(String(path), "r") else { throw SetUpFailure("cannot read \(path)") }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    }
}
