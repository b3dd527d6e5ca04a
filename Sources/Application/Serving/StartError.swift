import Redis
import Services

extension Server {
    /// Why a server could not start. What the configuration alone decides is `configuration`; what Redis says or the port's
    /// being taken is `unavailable`, since another try may meet another answer.
    public struct StartError: Error, CustomStringConvertible {
        public let description: String
        public let exitCode: ExitCode

        init(description: String, exitCode: ExitCode) {
            self.description = description
            self.exitCode = exitCode
        }

        /// What Redis at `place` answered, or did not.
        init(redis place: RedisConfiguration, _ error: RedisError?) {
            description = "no Redis to start with at \(place)" + (error.map { ": \(StartError.words($0))" } ?? "")
            exitCode = .unavailable
        }

        /// What a service's `start` threw.
        init(redis place: RedisConfiguration, started error: any Error) {
            switch error {
            case let error as RedisError: self.init(redis: place, error)
            case let problem as Problem: self.init(description: problem.detail, exitCode: .unavailable)
            default: self.init(description: "\(error)", exitCode: .software)
            }
        }

        private static func words(_ error: RedisError) -> String {
            switch error {
            case .unavailable: "it cannot be reached"
            case .lost: "it closes the connection"
            case .timeout, .overloaded: "it does not answer in time"
            case .unexpectedReply(let what): "it is not as expected: \(what)"
            case .server(let code, let message): refusal(code, message)
            }
        }

        private static func refusal(_ code: String, _ message: String) -> String {
            switch code {
            case "READONLY": "it is a replica, which takes no writes; name its master"
            case "MISCONF": "it takes no writes, since it cannot save what it has; its log says why"
            case "OOM": "it takes no writes, since its memory is full (maxmemory)"
            case "NOREPLICAS": "it takes no writes while it has too few replicas (min-replicas-to-write)"
            case "NOAUTH": "it asks for a password, and the URL has none"
            case "WRONGPASS": "it refuses the user or the password of the URL"
            case "NOPERM": "its user may not do what is needed; deploy/redis/users.acl has what is: \(message)"
            case "LOADING": "it is still loading its data"
            case "CLUSTERDOWN", "MASTERDOWN", "BUSY": "it serves nobody now: \(message)"
            default: "it refuses: \(message)"
            }
        }
    }
}
