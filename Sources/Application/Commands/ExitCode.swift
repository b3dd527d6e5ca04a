/// How the process ends, by sysexits.h where it has a word for it.
public enum ExitCode: Int32, Sendable {
    case success = 0
    /// The command was understood and did not succeed.
    case failure = 1
    /// The command line was not understood.
    case usage = 64
    /// Redis or the port was not available at start.
    case unavailable = 69
    /// A bug.
    case software = 70
    /// The configuration is wrong.
    case configuration = 78
}
