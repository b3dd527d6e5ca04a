import JSON
import Services

/// The environment of a command: nothing of the worker's own.
///
/// It has `PATH=/usr/bin:/bin`, `LANG=C.UTF-8`, what the job gives, and `QM_JOB_ID`, `QM_EXECUTION_ID`, `QM_FENCING_TOKEN` (the
/// fencing token) and `QM_ATTEMPT`. Names are `[A-Z_][A-Z0-9_]*`. Names by which a loader, a shell or a language's
/// run-time finds code to run are refused: the list is of the known ones, so programs of the directory should not trust
/// their environment beyond it.
enum CommandEnvironment {
    private static let refused: Set<String> = [
        "PATH", "IFS", "ENV", "BASH_ENV", "BASHOPTS", "SHELLOPTS", "PS4", "PROMPT_COMMAND", "CDPATH", "GLOBIGNORE",
        "GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH", "HOSTALIASES", "LOCALDOMAIN",
        "RES_OPTIONS",
        "RESOLV_HOST_CONF", "TERMINFO", "TERMINFO_DIRS", "TERMPATH", "TZDIR", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS",
        "JDK_JAVA_OPTIONS", "CLASSPATH", "OPENSSL_CONF", "OPENSSL_MODULES", "GIT_EXEC_PATH", "EDITOR", "VISUAL",
        "PAGER",
    ]
    private static let refusedBeginnings = [
        "LD_", "QM_", "BASH_FUNC_", "PERL", "PYTHON", "RUBY", "NODE_", "PHP", "LUA_", "DYLD_", "GIT_CONFIG",
    ]

    /// Reads the member `environment` into `NAME=value`.
    static func read(_ value: JSONValue, _ name: String) throws(Problem) -> [String] {
        guard case .object(let members) = value else { throw .field(name, "must be an object") }
        guard members.count <= 64 else { throw .field(name, "must have at most 64 members, not \(members.count)") }
        var variables: [String] = []
        for member in members {
            guard isName(member.key) else {
                throw .field("\(name).\(member.key)", "must be a name of capitals, digits and _")
            }
            guard !refused.contains(member.key), !refusedBeginnings.contains(where: { member.key.hasPrefix($0) }) else {
                throw .impossible("\(name).\(member.key)", "is not a variable that a job may set")
            }
            let text = try CommandKind.text(member.value, "\(name).\(member.key)", most: 4096)
            variables.append("\(member.key)=\(text)")
        }
        return variables
    }

    static func whole(_ given: [String], _ context: JobContext) -> [String] {
        let language = given.contains { $0.hasPrefix("LANG=") } ? [] : ["LANG=C.UTF-8"]
        return ["PATH=/usr/bin:/bin"] + language + given + [
            "QM_JOB_ID=\(context.jobID)", "QM_EXECUTION_ID=\(context.executionID)", "QM_FENCING_TOKEN=\(context.token)",
            "QM_ATTEMPT=\(context.attempt)",
        ]
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 128 else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || byte == 0x5F }
        return isLetter(first) && text.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
    }
}
