// A small assembly under the original's name, for the test that the real Python.NET serves it.
namespace Beep.Python.RuntimeEngine.Infrastructure
{
    public class VenvManager
    {
        public string Origin { get { return "compiled"; } }

        public string[] ListEnvironments()
        {
            return new[] { "one", "two" };
        }

        public int Add(int first, int second)
        {
            return first + second;
        }
    }
}
