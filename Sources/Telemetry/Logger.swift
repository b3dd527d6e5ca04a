import Bytes
import Glibc

/// How much a line of the log matters.
public enum LogLevel: String, Sendable, CaseIterable, Comparable {
    /// What a developer asks for.
    case debug
    /// A change of state that an operator would ask about.
    case info
    /// Something is wrong and is being dealt with.
    case warning
    /// Something is wrong and a person should look.
    case error

    public static func < (left: LogLevel, right: LogLevel) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }
}

/// Writes lines to standard error, each whole and with one `write(2)`. A value that any thread may hold and use; a line
/// below the level costs a comparison.
///
/// Messages are literals, what varies goes into fields, so that a search finds every line of a kind.
public struct Logger: Sendable {
    public let level: LogLevel
    public let format: LogFormat
    private let descriptor: Int32
    private var context: LogFields = [:]

    /// - Parameter descriptor: where lines go; standard error unless a test reads them.
    public init(level: LogLevel = .info, format: LogFormat = .json, descriptor: Int32 = 2) {
        self.level = level
        self.format = format
        self.descriptor = descriptor
    }

    /// A logger that adds `fields` to each of its lines.
    public func with(_ fields: LogFields) -> Logger {
        var copy = self
        copy.context.append(fields)
        return copy
    }

    public func debug(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.debug, message, fields())
    }

    public func info(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.info, message, fields())
    }

    public func warning(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.warning, message, fields())
    }

    public func error(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.error, message, fields())
    }

    public func log(_ level: LogLevel, _ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        guard level >= self.level else { return }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let nowUs = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
        let line = ByteBuffer(capacity: 256)
        LogLine.append(to: line, format, level, message, context, fields(), nowUs: nowUs)
        var rest = line.view
        while !rest.isEmpty {
            let written = write(descriptor, rest.base, rest.count)
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if errno != EINTR {
                // A log that cannot be written must not stop the service.
                return
            }
        }
    }
}
