/**
 * Ready lists of packages for common work, under the names of the original.
 *
 * @module
 */

/** The name of a template. */
export type TemplateName = "minimal" | "data-science" | "machine-learning" | "web-development" | "full-stack";

/** The requirements of each template. */
export const templates: Readonly<Record<TemplateName, readonly string[]>> = {
  "minimal": [],
  "data-science": ["numpy", "pandas", "scipy", "matplotlib", "scikit-learn"],
  "machine-learning": ["numpy", "pandas", "scikit-learn", "torch", "transformers"],
  "web-development": ["fastapi", "uvicorn", "requests", "jinja2", "sqlalchemy"],
  "full-stack": [
    "numpy",
    "pandas",
    "matplotlib",
    "scikit-learn",
    "fastapi",
    "uvicorn",
    "requests",
    "sqlalchemy",
  ],
};
